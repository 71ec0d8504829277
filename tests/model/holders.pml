/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Stat with several holders (stats/stat.c, timer.c): references, slots claimed by others than the
 * owner, and what comes too late. With C11's memory (memory.pml), in one cell:
 *
 *     an owner begins a Stat, retains it for a helper, hands over its handle, times and ends;
 *     the helper times in a slot that it claims, ends or discards, and ends once more when all is
 *     over (before that it would give away the owner's reference: handles are all the same);
 *     a taker drains what was published, begins the next Stat in the cell, and ends it;
 *     a stranger has the handle but no reference, and tries to claim a slot.
 *
 * Checked:
 *
 *   - who publishes is the last holder, does it once, and has seen all that each holder stored; so
 *     has who takes the Stat from the ring;
 *   - an end too many, by a handle whose Stat has ended or whose cell has gone on, changes nothing;
 *   - while a holder has a reference its Stat is live;
 *   - a stale handle claims no slot, and who finds its Stat live sees no word of an earlier one;
 *   - nobody waits: everybody can always go on.
 *
 * The stranger stops at its claim. What it would store after that may land in the next Stat; that is
 * the instant that docs/design.md excepts.
 */
mtype = { NONE, R1, R1_RELEASE, R1_ACQUIRE, A1, REFS_GENERATION, REFS_COUNT, SLOTS_GENERATION };

#define SEQ 0
#define REFS 1
#define SLOTS 2 /* generation, slots handed out: the first is the owner's */
#define HANDLE 3 /* the program's own word to hand a handle over by */
#define RING 4
#define TIMER(i) (5 + (i))
#define CAPACITY 3
#define WORDS 8
#define STORES 9
#include "memory.pml"

#define WORD(g, low) ((g) << 3 | (low)) /* all words here: a generation, three bits */
#define GENERATION(x) ((x) >> 3)
#define COUNT(refs) ((refs) & 3)
#define DISCARDED 4
#define FREE 0
#define LIVE 1
#define DONE 2

/* What is not in the program, by generation: references, whether it is over, who filled what. */
byte references[3];
bit over[3];
bit filled[3 * CAPACITY];
hidden byte i_;

inline begin()
{
	load(SEQ, RELAXED, x);
	g = GENERATION(x) + 1;
	store(SEQ, WORD(g, FREE), RELAXED);
	fence(RELEASE); /* S1 */
	references[g] = 1;
	store(REFS, WORD(g, 1), RELAXED);
	store(SLOTS, WORD(g, 1), RELAXED);
	store(SEQ, WORD(g, LIVE), RELEASE); /* S2 */
	x = 0
}

inline fill(i)
{
	d_step { filled[g * CAPACITY + i] = 1; }
	store(TIMER(i), g, RELAXED)
}

inline retain()
{
	load(REFS, RELAXED, x);
	do
	:: assert(GENERATION(x) == g && COUNT(x) != 0);
	   atomic {
		compare_exchange(REFS, x, x + 1, RELAXED, done);
		if
		:: done -> references[g]++; break
		:: else
		fi
	   }
	od;
	x = 0;
	done = false
}

/* slots_claim(), of a single slot. */
inline claim(slot)
{
	load(SLOTS, RELAXED, x);
	assert(GENERATION(x) >= g); /* as the Stat was seen to be live (A1) */
	do
	:: checked(SLOTS_GENERATION) && GENERATION(x) != g || (x & 7) == CAPACITY -> slot = 0; break
	:: else ->
	   atomic {
		compare_exchange(SLOTS, x, x + 1, RELAXED, done);
		if
		:: done ->
			assert(GENERATION(x) == g);
			slot = x & 7;
			break
		:: else
		fi
	   }
	od;
	x = 0;
	done = false
}

/* Whether the caller is the last holder: release(). */
#define LET_GO ordered(R1, ordered(R1_ACQUIRE, ACQUIRE) | ordered(R1_RELEASE, RELEASE))
inline let_go(discard)
{
	load(REFS, RELAXED, x);
	do
	:: checked(REFS_GENERATION) && GENERATION(x) != g || checked(REFS_COUNT) && COUNT(x) == 0 ->
		break /* late */
	:: else ->
	   atomic {
		compare_exchange(REFS, x, (x - 1) | (discard), LET_GO, done);
		if
		:: done ->
			assert(GENERATION(x) == g && COUNT(x) != 0 && references[g] == COUNT(x));
			references[g]--;
			last = (COUNT(x) == 1);
			discarded = ((x | (discard)) & DISCARDED) != 0;
			break
		:: else
		fi
	   }
	od;
	x = 0;
	done = false
}

/* All that the holders stored is here. */
inline check_whole()
{
	n = 0;
	do
	:: n < CAPACITY && filled[g * CAPACITY + n] -> load(TIMER(n), RELAXED, x); assert(x == g); n++
	:: n < CAPACITY && !filled[g * CAPACITY + n] -> n++
	:: else -> break
	od;
	n = 0;
	x = 0
}

inline end(discard)
{
	let_go(discard);
	if
	:: last ->
		assert(references[g] == 0 && !over[g]);
		over[g] = 1;
		check_whole();
		if
		:: discarded -> store(SEQ, WORD(g, FREE), RELAXED)
		:: else ->
			store(SEQ, WORD(g, DONE), RELEASE); /* S3 */
			d_step { exchange(RING, WORD(g, 1), ACQUIRE | RELEASE, x); assert(x == 0) }
		fi;
		d_step { last = false; discarded = false }
	:: else
	fi
}

#define HOLDER                                                                                 \
	THREAD;                                                                                \
	byte g, x, n, slot;                                                                    \
	bool done, last, discarded

proctype owner()
{
	HOLDER;

	begin();
	retain();
	store(HANDLE, g, RELEASE);
	fill(0);
	end(0)
}

proctype helper()
{
	HOLDER;

	load(HANDLE, ACQUIRE, g);
	if
	:: g == 0
	:: else ->
		load(SEQ, ordered(A1, ACQUIRE), x);
		assert(x == WORD(g, LIVE));
		claim(slot);
		if
		:: slot != 0 -> fill(slot)
		:: else
		fi;
		if
		:: end(0)
		:: end(DISCARDED)
		fi;
		if
		:: over[g] -> end(0)
		:: else
		fi
	fi
}

proctype taker()
{
	HOLDER;

	load(RING, RELAXED, x);
	if
	:: x == 0
	:: else ->
		d_step { exchange(RING, 0, ACQUIRE | RELEASE, x); g = GENERATION(x) }
		check_whole();
		begin();
		fill(0);
		end(0)
	fi
}

proctype stranger()
{
	HOLDER;

	load(HANDLE, RELAXED, g);
	if
	:: g == 0
	:: else ->
		load(SEQ, ordered(A1, ACQUIRE), x);
		if
		:: x != WORD(g, LIVE)
		:: else -> claim(slot)
		fi
	fi
}

init
{
	atomic {
		run owner();
		run helper();
		run taker();
		run stranger()
	}
}
