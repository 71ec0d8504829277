/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circular buffer of grpc-go's internal/profiling/buffer, one queue pair of it, as a proof
 * that this way of checking finds what is wrong: the model must FAIL, in an invalid end state.
 *
 * A push counts itself into the queue that it found active (acquired), looks whether that is still
 * the active one, stores or gives up, and counts itself out (written). A drain switches queues,
 * waits until both counters of the old one are equal, takes what is there, and sets both to 0, one
 * after the other. A push that found the queue before the switch may count itself in or out
 * between these two stores, or after one and before the other. Then the counters stay unequal, and
 * the next drain of this queue waits for ever.
 *
 * The wait is a guard here, so a drain that spins for ever is one that cannot go on although
 * everyone else is done.
 */
#define PUSHERS 2
#define DRAINS 3 /* the third meets the first one's queue again */

byte current; /* 0 or 1 */
byte acquired[2];
byte written[2];

proctype pusher()
{
	byte q;

	q = current;
	acquired[q]++;
	if
	:: current != q /* gives up */
	:: else        /* stores; what, does not matter here */
	fi;
	written[q]++
}

/* One process: a mutex keeps drains apart. */
proctype drainer()
{
	byte n, q;

	do
	:: n < DRAINS ->
		d_step { q = current; current = 1 - q }
		(acquired[q] == written[q]);
		acquired[q] = 0;
		written[q] = 0;
		n++
	:: else -> break
	od
}

init
{
	byte k;

	atomic {
		do
		:: k < PUSHERS -> run pusher(); k++
		:: else -> break
		od;
		run drainer()
	}
}
