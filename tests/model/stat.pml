/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a Stat (stats/stat.c, drain.c, snapshot.c): begun in a cell from the stash, timed,
 * published, pushed; displaced or drained, and the cell used again, while readers copy it. With
 * C11's memory (memory.pml). Each word of a record holds the generation that stored it.
 *
 *     BEGIN          stands for what begin stores
 *     STAMP, TIMER   a timer: its stamp, and all else of it; not every Stat has one
 *     END            stands for what only the end stores
 *
 * With -DATTRIBUTE the pair is an attribute instead: its commit word (M1, V3) and its bytes.
 *
 * A push takes any slot of the ring: what choosing one decides is recency (ring.pml), and safety
 * must not depend on it. Checked:
 *
 *   - a cell is in one place, and moves by one step; pushed = drained + displaced + left;
 *   - who receives a value owns a record that is whole, and has seen all of its old owners' stores;
 *   - seq only grows;
 *   - an accepted copy is what was published, and nothing else; of a Stat in flight, a stamped timer
 *     is complete; a Stat met in the ring is refused only if its seq has moved on;
 *   - nobody waits: everybody can always go on.
 *
 * Bounds: RECORDERS threads of at most RECORDS Stats each, TAKERS that drain once and then record a
 * Stat in what they got, READERS of one look each; CELLS cells (one per recorder at the start),
 * SLOTS slots. A thread that stops for ever is one that is scheduled no more: see ring.pml.
 */
#ifndef RECORDERS
#define RECORDERS 1
#endif
#ifndef RECORDS
#define RECORDS 1
#endif
#ifndef TAKERS
#define TAKERS 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef CELLS
#define CELLS 1
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef GENERATIONS
#define GENERATIONS 3 /* of a cell */
#endif

mtype = { NONE, S1, S2, S3, V1, V2, T1, V4, M1, V3, P1, P1_RELEASE, P1_ACQUIRE, D1, D1_RELEASE, W1,
	  SEQ_RECHECK, STAMP_GENERATION };

#define CELL_WORDS 5
#define SEQ(c) ((c) * CELL_WORDS)
#define BEGIN(c) ((c) * CELL_WORDS + 1)
#define END(c) ((c) * CELL_WORDS + 2)
#define STAMP(c) ((c) * CELL_WORDS + 3)
#define TIMER(c) ((c) * CELL_WORDS + 4)
#define SLOT(s) (CELLS * CELL_WORDS + (s))
#define WORDS (CELLS * CELL_WORDS + SLOTS)
#define STORES (3 * GENERATIONS + 1)
#include "memory.pml"

#ifdef ATTRIBUTE
#define STAMPED ordered(M1, RELEASE)
#define LOOKED ordered(V3, ACQUIRE)
#define CONTENT ordered(V3, ACQUIRE)
#else
#define STAMPED ordered(T1, RELEASE)
#define LOOKED ordered(V4, ACQUIRE)
#define CONTENT RELAXED
#endif

/* seq, and a Stat's value in the ring */
#define FREE(g) ((g) << 2)
#define LIVE(g) ((g) << 2 | 1)
#define DONE(g) ((g) << 2 | 2)
#define VALUE(c, g) ((g) << 2 | (c) + 1)
#define CELL(v) (((v) & 3) - 1)
#define GENERATION(x) ((x) >> 2)

/* What is not in the program: where each cell is (0: in the ring; else whose), which Stats were
 * published with a timer, and the sums. */
#define IN_RING 0
byte holder[CELLS];
bit timed[CELLS * (GENERATIONS + 1)];
byte pushed, drained, displaced;
hidden byte i_, left_;

/* A value has come out of the ring: whose is it now? */
inline count_out(out, counter)
{
	if
	:: out != 0 ->
		assert(holder[CELL(out)] == IN_RING);
		holder[CELL(out)] = _pid;
		counter++
	:: else
	fi
}

inline check_sums()
{
	i_ = 0;
	left_ = 0;
	do
	:: i_ < SLOTS ->
		if
		:: newest(SLOT(i_)) != 0 ->
			left_++;
			assert(holder[CELL(newest(SLOT(i_)))] == IN_RING)
		:: else
		fi;
		i_++
	:: else -> break
	od;
	assert(pushed == drained + displaced + left_)
}

inline store_seq(what, order)
{
	d_step {
		check_last(SEQ(c));
		assert(what > newest(SEQ(c)));
		write_store(SEQ(c), what, order, false)
	}
}

/* rpcprof_stat_begin() to the DONE of rpcprof_stat_end(), in cell c. */
inline record()
{
	load(SEQ(c), RELAXED, g);
	g = GENERATION(g) + 1;
	store_seq(FREE(g), RELAXED);
	fence(ordered(S1, RELEASE));
	store(BEGIN(c), g, RELAXED);
	store_seq(LIVE(g), ordered(S2, RELEASE));
	if
	:: store(TIMER(c), g, RELAXED);
	   d_step { timed[c * (GENERATIONS + 1) + g] = 1; }
	   store(STAMP(c), g, STAMPED)
	:: skip
	fi;
	store(END(c), g, RELAXED);
	store_seq(DONE(g), ordered(S3, RELEASE))
}

#define PUSHED ordered(P1, ordered(P1_ACQUIRE, ACQUIRE) | ordered(P1_RELEASE, RELEASE))

inline push()
{
	atomic {
		select(s : 0 .. SLOTS - 1);
		d_step {
			assert(holder[c] == _pid);
			holder[c] = IN_RING;
			exchange(SLOT(s), VALUE(c, g), PUSHED, v);
			pushed++;
			count_out(v, displaced);
			check_sums();
			s = 0;
			g = 0
		}
	}
}

/* The receiver of v reads it in place, as drain.c delivers; then the cell is in its stash. */
inline receive()
{
	d_step { c = CELL(v); g = GENERATION(v); v = 0 }
	load(BEGIN(c), RELAXED, x); assert(x == g);
	load(END(c), RELAXED, x); assert(x == g);
	load(STAMP(c), RELAXED, x); assert((x == g) == timed[c * (GENERATIONS + 1) + g]);
	if
	:: x == g -> load(TIMER(c), RELAXED, x); assert(x == g)
	:: else
	fi;
	d_step { x = 0; g = 0 }
}

/* Nothing of a thread at its end makes a state of its own. */
inline rest()
{
	d_step {
		k_ = 0;
		do
		:: k_ < WORDS -> sees.from[k_] = 0; met.from[k_] = 0; fenced.from[k_] = 0; k_++
		:: else -> break
		od
	}
}

proctype recorder(byte c)
{
	THREAD;
	byte n, g, s, v, x;

	do
	:: n < RECORDS ->
		record();
		push();
		n++;
		if
		:: v == 0 -> break /* its stash is empty: its next Stat is the null Stat */
		:: else -> receive()
		fi
	:: else -> break
	od;
	rest()
}

#define TAKEN ordered(D1, ACQUIRE | ordered(D1_RELEASE, RELEASE))

/* Drains once; records in what it got. */
proctype taker()
{
	THREAD;
	byte c, g, s, v, x, at;
	bool got;

	do
	:: at < SLOTS ->
		load(SLOT(at), RELAXED, v);
		if
		:: v != 0 ->
			d_step {
				exchange(SLOT(at), 0, TAKEN, v);
				count_out(v, drained);
				check_sums()
			}
			if
			:: v != 0 -> receive(); got = true
			:: else
			fi
		:: else
		fi;
		at++
	:: else -> break
	od;
	at = 0;
	if
	:: got -> record(); push();
	   if
	   :: v != 0 -> receive()
	   :: else
	   fi
	:: else
	fi;
	rest()
}

/* A snapshot meets the value in the ring; the listing of Stats in flight goes by what seq says; and
 * who has kept a Stat's id may look it up at any time. */
proctype reader()
{
	THREAD;
	byte c, g, wanted, x;
	bool ring, whole = true, stamped;

	if
	:: ring = true;
	   load(SLOT(0), ordered(W1, ACQUIRE), x);
	   if
	   :: x == 0 -> goto done
	   :: else -> c = CELL(x); g = GENERATION(x); wanted = DONE(g)
	   fi
	:: select(c : 0 .. CELLS - 1);
	   load(SEQ(c), RELAXED, x);
	   g = GENERATION(x);
	   if
	   :: x == LIVE(g) || x == DONE(g) -> wanted = x
	   :: else -> goto done
	   fi
	fi;
	/* rpcprof_cell_copy() */
	load(SEQ(c), ordered(V1, ACQUIRE), x);
	if
	:: x != wanted ->
		assert(!ring || newest(SEQ(c)) != wanted);
		goto done
	:: else
	fi;
	load(BEGIN(c), ordered(V3, ACQUIRE), x); whole = whole && x == g;
	load(END(c), ordered(V3, ACQUIRE), x); whole = whole && (x == g || wanted == LIVE(g));
	load(STAMP(c), LOOKED, x); stamped = (x == g || !checked(STAMP_GENERATION) && x != 0);
	load(TIMER(c), CONTENT, x); whole = whole && (x == g || !stamped);
	fence(ordered(V2, ACQUIRE));
	load(SEQ(c), RELAXED, x);
	if
	:: x == wanted || !checked(SEQ_RECHECK) ->
		assert(whole);
		assert(wanted == LIVE(g) || stamped == timed[c * (GENERATIONS + 1) + g])
	:: else
	fi;
done:
	skip;
	d_step { c = 0; g = 0; wanted = 0; x = 0; ring = false; whole = true; stamped = false }
	rest()
}

init
{
	byte k;

	atomic {
		do
		:: k < RECORDERS ->
			run recorder(k);
			holder[k] = _nr_pr - 1;
			k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < TAKERS -> run taker(); k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < READERS -> run reader(); k++
		:: else -> break
		od
	}
}
