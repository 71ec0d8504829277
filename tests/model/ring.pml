/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circular buffer (buffer/push.c, buffer/drain.c) in every interleaving of a few pushers and
 * drainers. Each step is at most one access to shared memory. Checked:
 *
 *   - after every exchange: each value pushed is in exactly one place, a slot or out, and
 *     pushed = drained + displaced + left;
 *   - no slot or header outside the memory is touched;
 *   - nobody waits for anybody: there is no state in which a process cannot go on, and (run with
 *     -DNP) no cycle.
 *
 * A process that stops for ever, at any step, is one that is scheduled no more. So the first two
 * hold whoever has stopped where, as they hold in every state; and so does the third, as cycles
 * are looked for without fairness: one process that went round while the others stand would be
 * one.
 *
 * The unlocked xadd is what it is to a thread on another CPU: a load, anything, and a store. Which
 * shard a push takes is free, as threads move.
 *
 * With -DSPLIT the exchange of a push is a load and a store, with -DSPLIT_TAKE that of a drain; then
 * the model must fail.
 */
#ifndef PUSHERS
#define PUSHERS 2
#endif
#ifndef PUSHES
#define PUSHES 2 /* by each */
#endif
#ifndef DRAINERS
#define DRAINERS 1
#endif
#ifndef SHARDS
#define SHARDS 1
#endif
#define BLOCKS 3
#ifndef SLOTS
#define SLOTS 1 /* of a block */
#endif
#define VALUES (PUSHERS * PUSHES)
#define ANY_SLOT (BLOCKS * SLOTS)

/* Numbers go from 1 here, so that a name is its number and 0 names no block. */
typedef ticket {
	byte name;
	byte pos
};
ticket cur[SHARDS];
byte header[BLOCKS];
byte next_number = 1;
byte slot[ANY_SLOT];

/* What is not in the program: */
byte pushed, displaced, drained;
byte out[VALUES + 1]; /* how often each value has come out */

#define INDEX(name) (((name) - 1) % BLOCKS)

inline count_out(value, counter)
{
	if
	:: value != 0 ->
		out[value]++;
		assert(out[value] == 1);
		counter++
	:: else
	fi
}

/* Each value pushed is in a slot or out, and the sums agree. */
inline check_all()
{
	do
	:: i < ANY_SLOT ->
		if
		:: slot[i] != 0 -> left++; assert(out[slot[i]] == 0)
		:: else
		fi;
		i++
	:: else -> break
	od;
	assert(pushed == displaced + drained + left);
	i = 0;
	left = 0 /* nothing of this makes a state of its own */
}

inline exchange_in(value)
{
	assert(mine.pos < SLOTS);
#ifdef SPLIT
	old = slot[INDEX(mine.name) * SLOTS + mine.pos];
#endif
	d_step {
#ifndef SPLIT
		old = slot[INDEX(mine.name) * SLOTS + mine.pos];
#endif
		slot[INDEX(mine.name) * SLOTS + mine.pos] = value;
		pushed++;
		count_out(old, displaced);
		check_all();
		old = 0
	}
}

inline load_cur(to)
{
	d_step { to.name = cur[shard].name; to.pos = cur[shard].pos }
}

/* xadd without lock, across CPUs. */
inline take_ticket()
{
	load_cur(mine);
	d_step { cur[shard].name = mine.name; cur[shard].pos = mine.pos + 1 }
}

inline is_valid()
{
	valid = false;
	if
	:: mine.name == 0 || mine.pos >= SLOTS
	:: else -> valid = (header[INDEX(mine.name)] == mine.name)
	fi
}

/* header[name] = 0 if it is name's: a load, then a store. */
inline close_block(which)
{
	if
	:: which < 1 || header[INDEX(which)] != which
	:: else -> header[INDEX(which)] = 0
	fi
}

inline open_block()
{
	d_step { fresh.name = next_number; fresh.pos = 0; next_number++ }
	header[INDEX(fresh.name)] = fresh.name;
	close_block(fresh.name - BLOCKS / 2)
}

/* As push_slow(); leaves in mine the ticket for the slot. */
inline slow_path()
{
	load_cur(mine);
	do
	:: is_valid();
	   if
	   :: valid ->
		take_ticket();
		is_valid();
		if
		:: valid -> break
		:: else -> load_cur(mine)
		fi
	   :: else ->
		if
		:: fresh.name == 0 ->
			if
			:: mine.name != 0 -> close_block(mine.name)
			:: else
			fi;
			open_block()
		:: else
		fi;
		d_step {
			if
			:: cur[shard].name == mine.name && cur[shard].pos == mine.pos ->
				cur[shard].name = fresh.name;
				cur[shard].pos = 1;
				mine.name = fresh.name;
				mine.pos = 0;
				valid = true
			:: else ->
				mine.name = cur[shard].name;
				mine.pos = cur[shard].pos;
				valid = false
			fi
		}
		if
		:: valid -> break
		:: else
		fi
	   fi
	od
}

proctype pusher(byte first)
{
	byte n, i, left, old, shard;
	bool valid;
	ticket mine, fresh;

	do
	:: n < PUSHES ->
		select(shard : 0 .. SHARDS - 1);
		take_ticket();
		is_valid();
		if
		:: valid
		:: else -> slow_path()
		fi;
		exchange_in(first + n);
		d_step { fresh.name = 0; mine.name = 0; mine.pos = 0; shard = 0; valid = false; n++ }
	:: else -> break
	od;
}

/* One round over the slots from any of them; take_oldest is one that stops at its first value. */
proctype drainer()
{
	byte n, at, i, left, old;
	bool once;

	if
	:: once = true
	:: once = false
	fi;
	select(at : 0 .. ANY_SLOT - 1);
	do
	:: n < ANY_SLOT ->
		if
		:: slot[at] == 0
		:: else ->
#ifdef SPLIT_TAKE
			old = slot[at];
#endif
			d_step {
#ifndef SPLIT_TAKE
				old = slot[at];
#endif
				slot[at] = 0;
				count_out(old, drained);
				check_all()
			}
			if
			:: old != 0 && once -> break
			:: else -> old = 0
			fi
		fi;
		d_step { at = (at + 1) % ANY_SLOT; n++ }
	:: else -> break
	od;
}

init
{
	byte k;

	atomic {
		do
		:: k < PUSHERS -> run pusher(1 + k * PUSHES); k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < DRAINERS -> run drainer(); k++
		:: else -> break
		od
	}
}
