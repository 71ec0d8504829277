/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where cells come from and go to beside the rings (stats/cells.c): the depot, a stack of chains
 * with a tag against ABA, and the bump pointer. With C11's memory (memory.pml).
 *
 * At the start the depot holds cell 1 and, below it, the chain of cells 2 and 3; cell 4 was never
 * used. Threads take (a chain from the depot, else a cell from the bump pointer) and record in what
 * they took, or give back a cell or a chain of two; a reader looks at a cell meanwhile. Checked:
 *
 *   - a cell is in one place, and moves by one step;
 *   - who takes a cell has seen all that its old owners stored;
 *   - an accepted copy is of a record, not of the links that have overwritten it;
 *   - nobody waits: everybody can always go on.
 *
 * Bounds: THREADS threads of OPS takes and gives each, READERS that look once. Stealing is not in
 * here: it is an exchange on a slot of a ring (D1 of stat.pml).
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef FIRST_OPS
#define FIRST_OPS 1 /* of the first thread */
#endif
#ifndef READERS
#define READERS 0
#endif

mtype = { NONE, K1, K2, S1, DEPOT_TAG, BUMP_ADD };

#define CELLS 4
#define NEVER_USED 1
#define HEAD 0 /* tag, first cell of the first chain */
#define BUMP 1
#define SEQ(c) (2 * (c))
#define LINK(c) (2 * (c) + 1) /* as a record: its begin */
#define WORDS (2 + 2 * CELLS)
#define STORES 8
#include "memory.pml"

#define UNIT(head) ((head) & 7)
#define CHANGED(head) (((head) >> 3) + checked(DEPOT_TAG) << 3)
#define LINKS(next_cell, next_chain) ((next_cell) << 3 | (next_chain))
#define NEXT_CELL(links) ((links) >> 3 & 7)
#define NEXT_CHAIN(links) ((links) & 7)
#define A_BEGIN(g) (64 + (g)) /* no links */
#define GENERATION(seq) ((seq) >> 2)
#define FREE(g) ((g) << 2)
#define DONE(g) ((g) << 2 | 2)

byte holder[CELLS + 1]; /* not in the program: 0 = depot or bump pointer; else whose */

#define CHAIN_ORDER (ordered(K1, RELEASE) | ordered(K2, ACQUIRE))

inline receive(which)
{
	d_step { assert(holder[which] == 0); holder[which] = _pid; }
}

/* depot_pop(): the chain's first cell in c, and the cell after it in d. */
inline pop()
{
	load(HEAD, ordered(K2, ACQUIRE), head);
	do
	:: UNIT(head) == 0 -> break
	:: else ->
		load(LINK(UNIT(head)), RELAXED, x);
		atomic {
			compare_exchange(HEAD, head, CHANGED(head) | NEXT_CHAIN(x), CHAIN_ORDER, done);
			if
			:: done -> c = UNIT(head); receive(c); break
			:: else
			fi
		}
	od;
	done = false;
	head = 0;
	if
	:: c != 0 ->
		load(LINK(c), RELAXED, x);
		d = NEXT_CELL(x);
		if
		:: d != 0 -> receive(d)
		:: else
		fi
	:: else
	fi;
	x = 0
}

inline bump()
{
	load(BUMP, RELAXED, x);
	if
	:: x >= NEVER_USED
	:: else ->
		if
		:: checked(BUMP_ADD) -> d_step { exchange(BUMP, newest(BUMP) + 1, RELAXED, x) }
		:: else -> d_step { write_store(BUMP, x + 1, RELAXED, false) }
		fi;
		if
		:: x < NEVER_USED -> c = CELLS; receive(c)
		:: else
		fi
	fi;
	x = 0
}

/* A record, as short as can be, in a cell of this thread's. */
inline record(which)
{
	load(SEQ(which), RELAXED, x);
	x = GENERATION(x) + 1;
	store(SEQ(which), FREE(x), RELAXED);
	fence(RELEASE);
	store(LINK(which), A_BEGIN(x), RELAXED);
	store(SEQ(which), DONE(x), RELEASE);
	x = 0
}

inline unrecord(which, next)
{
	load(SEQ(which), RELAXED, x);
	store(SEQ(which), FREE(GENERATION(x)), RELAXED);
	fence(ordered(S1, RELEASE));
	store(LINK(which), LINKS(next, 0), RELAXED);
	x = 0
}

/* chain_push() of c, and of d after it. */
inline give()
{
	if
	:: d != 0 -> unrecord(d, 0)
	:: else
	fi;
	unrecord(c, d);
	load(HEAD, RELAXED, head);
	do
	:: store(LINK(c), LINKS(d, UNIT(head)), RELAXED);
	   atomic {
		compare_exchange(HEAD, head, CHANGED(head) | c, CHAIN_ORDER, done);
		if
		:: done ->
			d_step {
				assert(holder[c] == _pid);
				holder[c] = 0;
				assert(d == 0 || holder[d] == _pid);
				holder[d] = 0
			}
			break
		:: else
		fi
	   }
	od;
	c = 0;
	d = 0;
	head = 0;
	done = false
}

/* Has a chain in hand (c, d), and may keep one more: its stash. */
proctype thread(byte ops)
{
	THREAD;
	byte c, d, x, head;
	byte kept_c, kept_d, n;
	bool done;

	do
	:: n < ops ->
		n++;
		if
		:: c != 0 -> give()
		:: c == 0 || kept_c == 0 ->
			if
			:: c != 0 -> kept_c = c; kept_d = d; c = 0; d = 0
			:: else
			fi;
			pop();
			if
			:: c == 0 -> bump()
			:: else
			fi;
			if
			:: c != 0 -> record(c)
			:: else
			fi
		fi;
		if
		:: kept_c != 0 -> /* which of both is given first */
			x = c; c = kept_c; kept_c = x;
			x = d; d = kept_d; kept_d = x;
			x = 0
		:: skip
		fi
	:: else -> break
	od
}

proctype reader()
{
	THREAD;
	byte c, g, x;
	bool whole;

	select(c : 1 .. CELLS);
	load(SEQ(c), ACQUIRE, x);
	g = GENERATION(x);
	if
	:: x != DONE(g)
	:: else ->
		load(LINK(c), ACQUIRE, x);
		whole = (x == A_BEGIN(g));
		fence(ACQUIRE);
		load(SEQ(c), RELAXED, x);
		assert(x != DONE(g) || whole)
	fi
}

init
{
	byte k;

	atomic {
		word[HEAD].at[0].value = 1;
		word[LINK(1)].at[0].value = LINKS(0, 2);
		word[LINK(2)].at[0].value = LINKS(3, 0);
		run thread(FIRST_OPS);
		k = 1;
		do
		:: k < THREADS -> run thread(OPS); k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < READERS -> run reader(); k++
		:: else -> break
		od
	}
}
