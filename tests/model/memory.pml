/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory as C11 has it, for Spin, whose own is sequentially consistent: what relaxed, release and
 * acquire allow, fences included. To be included after
 *
 *     #define WORDS    how many words threads share
 *     #define STORES   room for the stores to one word, the zero at the start included
 *     mtype = { NONE, ... };   the labels of docs/design.md that ordered() and checked() name
 *
 * Every word keeps all its stores, in their order. A thread has a view: for each word the oldest
 * store that it may still read. A load takes any store from there on, so a thread that nothing
 * orders sees some words new and others old, whichever way hardware or compiler bring that about. A
 * store carries a view along, which an acquire load adds to the loader's own:
 *
 *     release store              all that its thread has seen
 *     relaxed store              what its thread had seen at its last release fence
 *     read-modify-write          the same, and what the store that it replaces carried
 *     acquire fence              makes acquire loads of all relaxed loads before it
 *
 * A new store is always the word's last. C11 would let two stores that nothing orders end up the
 * other way round; so store() asserts that its thread has seen all stores before, but for
 * read-modify-writes, which nothing comes between. That is an invariant of ours anyway (no old
 * owner's store lands in a new Stat), and where it holds nothing is left out. Left out is load
 * buffering: no load sees a store that comes after it.
 *
 * -DWEAKEN=LABEL makes the order at that label relaxed, or leaves that check out.
 */
#ifndef WEAKEN
#define WEAKEN NONE
#endif
#define ordered(label, order) (WEAKEN == label -> RELAXED : order)
#define checked(label) (WEAKEN != label)

#define RELAXED 0
#define ACQUIRE 1
#define RELEASE 2

typedef view {
	byte from[WORDS]
};
typedef message {
	byte value;
	bit chained; /* by a read-modify-write to the store before it */
	view carries
};
typedef history {
	byte last;
	message at[STORES]
};
history word[WORDS];
hidden byte k_; /* used within one step only */

/* What a thread needs: its view, what its relaxed loads have met, its view at the last release
 * fence. A thread that begins with all zero has seen the zeros of the start. */
#define THREAD                                                                                 \
	view sees, met, fenced;                                                                \
	byte pick

/* What a word holds now: for assertions, and for reads that nothing else can race with. */
#define newest(w) word[w].at[word[w].last].value

inline join(into, w, nth)
{
	k_ = 0;
	do
	:: k_ < WORDS ->
		into.from[k_] = (word[w].at[nth].carries.from[k_] > into.from[k_] ->
				word[w].at[nth].carries.from[k_] : into.from[k_]);
		k_++
	:: else -> break
	od
}

/* Part of a step: this thread reads the nth store of w. */
inline read_store(w, nth, order)
{
	sees.from[w] = (nth > sees.from[w] -> nth : sees.from[w]);
	join(met, w, nth);
	if
	:: (order) & ACQUIRE -> join(sees, w, nth)
	:: else
	fi
}

/* Part of a step: a store after the word's last. `chain`: it belongs to a read-modify-write, and so
 * to the release sequence of what it replaces. */
inline write_store(w, what, order, chain)
{
	word[w].last++;
	sees.from[w] = word[w].last;
	word[w].at[word[w].last].value = what;
	k_ = 0;
	do
	:: k_ < WORDS ->
		word[w].at[word[w].last].carries.from[k_] =
			((order) & RELEASE -> sees.from[k_] : fenced.from[k_]);
		k_++
	:: else -> break
	od;
	word[w].at[word[w].last].chained = chain;
	if
	:: chain -> join(word[w].at[word[w].last].carries, w, word[w].last - 1)
	:: else
	fi;
	word[w].at[word[w].last].carries.from[w] = word[w].last
}

/* Part of a step: a store of this thread to w cannot but be the last. */
inline check_last(w)
{
	k_ = sees.from[w] + 1;
	do
	:: k_ <= word[w].last -> assert(word[w].at[k_].chained); k_++
	:: else -> break
	od
}

inline store(w, what, order)
{
	d_step {
		check_last(w);
		write_store(w, what, order, false)
	}
}

/* `pick` becomes any store of w that this thread may read. */
inline pick_store(w)
{
	pick = sees.from[w];
	do
	:: pick < word[w].last -> pick++
	:: break
	od;
	skip /* as Spin lets no break lead right into a d_step */
}

inline load(w, order, got)
{
	atomic {
		pick_store(w);
		d_step {
			read_store(w, pick, order);
			got = word[w].at[pick].value;
			pick = 0
		}
	}
}

/* Part of a step: `got` becomes what was there. */
inline exchange(w, what, order, got)
{
	read_store(w, word[w].last, order);
	got = newest(w);
	write_store(w, what, order, true)
}

/* Part of an atomic step. Strong: takes place if the word's last store is `expected`, fails by having
 * read any that is not. On failure `expected` is what was read, acquired as `order` says. */
inline compare_exchange(w, expected, what, order, done)
{
	pick_store(w);
	d_step {
		done = (newest(w) == expected && word[w].at[pick].value == expected);
		if
		:: !done && word[w].at[pick].value != expected -> read_store(w, pick, order)
		:: else -> pick = word[w].last; read_store(w, pick, order)
		fi;
		expected = word[w].at[pick].value;
		if
		:: done -> write_store(w, what, order, true)
		:: else
		fi;
		pick = 0
	}
}

inline fence(order)
{
	d_step {
		k_ = 0;
		do
		:: k_ < WORDS ->
			sees.from[k_] = ((order) & ACQUIRE && met.from[k_] > sees.from[k_] -> met.from[k_] : sees.from[k_]);
			fenced.from[k_] = ((order) & RELEASE -> sees.from[k_] : fenced.from[k_]);
			k_++
		:: else -> break
		od
	}
}
