/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushers, drainers, a taker and a walker on one buffer: every value comes out exactly once, and
 * as it went in. Then what is left after the pushers stop: enough values, and recent ones.
 */
#include "rpcprof/buffer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "atomic_internal.h"

#define THREADS_MAX 64
#define VALUES_MAX (UINT64_C(1) << 26) /* all threads together */
#define RUN_NS 800000000

static struct {
	struct rpcprof_buffer buffer;
	uint32_t threads;
	uint32_t stop;
	uint64_t *seen;    /* a bit for each value */
	uint64_t sequence; /* recency: one for all threads */
} run;

/* What one thread did. */
struct tally {
	pthread_t thread;
	uint32_t id;
	uint64_t pushed, displaced, early, drained, walked, wrong, doubled;
};

/* 1 + 30 bits of position, above them a checksum of it. */
static uint64_t value_of(uint64_t position)
{
	uint64_t low = position + 1;

	return low | (low * UINT64_C(0x9e3779b97f4a7c15) >> 31) << 31;
}

static bool intact(uint64_t value)
{
	uint64_t position = (value & ((UINT64_C(1) << 31) - 1)) - 1;

	return position < VALUES_MAX && value_of(position) == value;
}

/* Marks a value as come out; it may come once. */
static void came_out(struct tally *tally, uint64_t value)
{
	uint64_t position = (value & ((UINT64_C(1) << 31) - 1)) - 1;
	uint64_t bit = UINT64_C(1) << position % 64;

	if (!intact(value))
		tally->wrong++;
	else if (rpcprof_or_relaxed(&run.seen[position / 64], bit) & bit)
		tally->doubled++;
}

static int drained(void *arg, uint64_t value)
{
	struct tally *tally = arg;

	came_out(tally, value);
	tally->drained++;
	return 0;
}

static int walked(void *arg, uint64_t value)
{
	struct tally *tally = arg;

	tally->wrong += !intact(value);
	tally->walked++;
	return 0;
}

/* Positions of thread t: t, t + threads, t + 2 * threads, ... */
static void *push_thread(void *arg)
{
	struct tally *tally = arg;
	uint64_t position = tally->id;

	for (; position < VALUES_MAX && !rpcprof_load_relaxed(&run.stop); position += run.threads) {
		uint64_t displaced = rpcprof_buffer_push(&run.buffer, value_of(position));

		tally->pushed++;
		if (displaced == 0)
			continue;
		tally->displaced++;
		came_out(tally, displaced);
	}
	return NULL;
}

static void *drain_thread(void *arg)
{
	while (!rpcprof_load_relaxed(&run.stop))
		(void)rpcprof_buffer_drain(&run.buffer, drained, arg);
	return NULL;
}

static void *take_thread(void *arg)
{
	while (!rpcprof_load_relaxed(&run.stop)) {
		uint64_t value = rpcprof_buffer_take_oldest(&run.buffer);

		if (value != 0)
			(void)drained(arg, value);
	}
	return NULL;
}

static void *walk_thread(void *arg)
{
	while (!rpcprof_load_relaxed(&run.stop))
		(void)rpcprof_buffer_walk(&run.buffer, walked, arg);
	return NULL;
}

/* With a rest now and then, so that the pushers fill the ring, and displace. */
static void *late_drain_thread(void *arg)
{
	while (!rpcprof_load_relaxed(&run.stop)) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		(void)rpcprof_buffer_drain(&run.buffer, drained, arg);
	}
	return NULL;
}

#define LAPS 60

/* Each pushes the next number of all, for LAPS laps. */
static void *sequence_thread(void *arg)
{
	uint64_t end = LAPS * rpcprof_buffer_slots(&run.buffer);
	struct tally *tally = arg;
	uint64_t next;

	while ((next = rpcprof_add_relaxed(&run.sequence, 1)) < end) {
		uint64_t displaced = rpcprof_buffer_push(&run.buffer, next + 1);

		if (displaced == 0)
			continue;
		tally->displaced++;
		tally->early += displaced + run.buffer.capacity / 2 > next;
	}
	return NULL;
}

static void run_open(uint32_t capacity, uint32_t shards, uint32_t threads)
{
	size_t bytes = rpcprof_buffer_bytes(capacity, shards);
	void *memory = aligned_alloc(128, bytes);

	memset(&run, 0, sizeof(run));
	run.threads = threads;
	run.seen = calloc(VALUES_MAX / 64, sizeof(uint64_t));
	if (memory == NULL || run.seen == NULL ||
	    rpcprof_buffer_init(&run.buffer, memory, capacity, shards) != 0)
		abort();
	memset(memory, 0, bytes);
}

static void run_close(void)
{
	free(run.buffer.memory);
	free(run.seen);
}

static void start(struct tally *tally, uint32_t id, void *(*fn)(void *))
{
	memset(tally, 0, sizeof(*tally));
	tally->id = id;
	if (pthread_create(&tally->thread, NULL, fn, tally) != 0)
		abort();
}

static void add(struct tally *sum, const struct tally *one)
{
	sum->pushed += one->pushed;
	sum->displaced += one->displaced;
	sum->early += one->early;
	sum->drained += one->drained;
	sum->walked += one->walked;
	sum->wrong += one->wrong;
	sum->doubled += one->doubled;
}

static void join(struct tally *sum, struct tally *tally)
{
	(void)pthread_join(tally->thread, NULL);
	add(sum, tally);
}

static uint64_t bits_seen(void)
{
	uint64_t bits = 0;

	for (uint64_t i = 0; i < VALUES_MAX / 64; i++)
		bits += (uint64_t)__builtin_popcountll(run.seen[i]);
	return bits;
}

static void *(*const emptying[])(void *) = { drain_thread, late_drain_thread, walk_thread,
					     take_thread };
static void *(*const displacing[])(void *) = { late_drain_thread, late_drain_thread, walk_thread };

#define BESIDE_MAX 4

/* Counts are equal and no value came twice or was not one of ours: so each came out once. */
static bool account(uint32_t capacity, uint32_t threads, void *(*const beside[])(void *),
		    uint32_t count)
{
	struct tally tallies[THREADS_MAX + BESIDE_MAX], sum = { 0 }, left = { 0 };
	uint64_t seen;

	run_open(capacity, 0, threads);
	for (uint32_t i = 0; i < threads + count; i++)
		start(&tallies[i], i, i < threads ? push_thread : beside[i - threads]);
	(void)nanosleep(&(struct timespec){ .tv_nsec = RUN_NS }, NULL);
	rpcprof_store_relaxed(&run.stop, 1);
	for (uint32_t i = 0; i < threads + count; i++)
		join(&sum, &tallies[i]);
	(void)rpcprof_buffer_drain(&run.buffer, drained, &left);
	sum.wrong += left.wrong;
	sum.doubled += left.doubled;
	seen = bits_seen();
	printf("%2u threads, capacity %5u: pushed %" PRIu64 " = displaced %" PRIu64
	       " + drained %" PRIu64 " + left %" PRIu64 "; doubled %" PRIu64 ", wrong %" PRIu64
	       ", lost %" PRId64 "; walked %" PRIu64 "\n",
	       threads, capacity, sum.pushed, sum.displaced, sum.drained, left.drained,
	       sum.doubled, sum.wrong, (int64_t)(sum.pushed - seen), sum.walked);
	run_close();
	return sum.wrong == 0 && sum.doubled == 0 && seen == sum.pushed &&
	       sum.pushed == sum.displaced + sum.drained + left.drained;
}

static int mark(void *arg, uint64_t value)
{
	(void)arg;
	run.seen[(value - 1) / 64] |= UINT64_C(1) << (value - 1) % 64;
	return 0;
}

/*
 * At least `capacity` values are left. Of the newest half only those are missing, or have been
 * displaced as such, that met a thread which was preempted inside a push: few at the end, and very
 * few of all.
 */
static bool recency(uint32_t capacity, uint32_t shards, uint32_t threads)
{
	struct tally pushers[THREADS_MAX], sum = { 0 };
	uint64_t last, left, missing = 0, slack;

	run_open(capacity, shards, threads);
	slack = (uint64_t)threads * run.buffer.block_slots;
	for (uint32_t i = 0; i < threads; i++)
		start(&pushers[i], i, sequence_thread);
	for (uint32_t i = 0; i < threads; i++)
		join(&sum, &pushers[i]);
	last = LAPS * rpcprof_buffer_slots(&run.buffer);
	left = rpcprof_buffer_drain(&run.buffer, mark, NULL);
	for (uint64_t i = last - capacity / 2; i < last; i++)
		missing += !(run.seen[i / 64] >> i % 64 & 1);
	printf("%2u threads, capacity %5u: %" PRIu64 " pushed, %" PRIu64 " left, of the newest %u "
	       "%" PRIu64 " missing (at most %" PRIu64 "); displaced early %" PRIu64 "\n", threads, capacity,
	       last, left, capacity / 2, missing, slack, sum.early);
	run_close();
	return left >= capacity && left + sum.displaced == last && missing <= slack &&
	       sum.early <= last / 1000;
}

int main(void)
{
	static const uint32_t threads[] = { 2, 8, THREADS_MAX };
	bool good = true;

	for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++) {
		good &= account(1000, threads[i], emptying, 4);
		good &= account(4097, threads[i], displacing, 3);
		good &= account(1, threads[i], displacing, 3);
		good &= recency(16384, 0, threads[i]);
		good &= recency(16384, 1, threads[i]);
	}
	return good ? 0 : 1;
}
