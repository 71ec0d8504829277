/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever receives a value owns what it stands for: threads pass records through a buffer by
 * index, and read and write them plainly, without atomics. A record that two own at once, or that
 * is seen half written, has unequal words; under TSan a missing edge is a race.
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

#define CAPACITY 200
#define PUSHERS 6
#define DRAINERS 2
#define THREADS (PUSHERS + DRAINERS)
#define WORDS 8
#define RUN_NS 800000000

struct record {
	uint64_t words[WORDS];
};

static struct {
	struct rpcprof_buffer buffer;
	struct record *records; /* index 0 is none */
	uint32_t stop;
} run;

struct owner {
	pthread_t thread;
	uint64_t pushed, received, torn;
	/* What it owns. */
	uint64_t *held;
	size_t count;
};

static void receive(struct owner *owner, uint64_t index)
{
	const struct record *record = &run.records[index];

	for (int i = 1; i < WORDS; i++)
		owner->torn += record->words[i] != record->words[0];
	owner->held[owner->count++] = index;
	owner->received++;
}

/* Writes one of its records anew and puts it in. */
static void give(struct owner *owner)
{
	uint64_t index = owner->held[--owner->count], displaced;

	for (int i = 0; i < WORDS; i++)
		run.records[index].words[i] = owner->pushed;
	owner->pushed++;
	displaced = rpcprof_buffer_push(&run.buffer, index);
	if (displaced != 0)
		receive(owner, displaced);
}

static int drained(void *arg, uint64_t index)
{
	receive(arg, index);
	return 0;
}

static void *push_thread(void *arg)
{
	struct owner *owner = arg;

	while (!rpcprof_load_relaxed(&run.stop)) {
		uint64_t index = owner->count != 0 ? 0 : rpcprof_buffer_take_oldest(&run.buffer);

		if (index != 0)
			receive(owner, index);
		if (owner->count != 0)
			give(owner);
	}
	return NULL;
}

static void *drain_thread(void *arg)
{
	struct owner *owner = arg;

	while (!rpcprof_load_relaxed(&run.stop)) {
		size_t n = rpcprof_buffer_drain(&run.buffer, drained, owner);

		/* Not all it has: each push into a full buffer gives it another. */
		for (; n != 0; n--)
			give(owner);
	}
	return NULL;
}

static void run_open(struct owner *owners, uint64_t records)
{
	size_t bytes = rpcprof_buffer_bytes(CAPACITY, 0);
	void *memory = aligned_alloc(128, bytes);

	run.records = calloc(records + 1, sizeof(*run.records));
	if (memory == NULL || run.records == NULL ||
	    rpcprof_buffer_init(&run.buffer, memory, CAPACITY, 0) != 0)
		abort();
	memset(memory, 0, bytes);
	for (size_t i = 0; i < THREADS; i++) {
		owners[i].held = calloc(records + 1, sizeof(uint64_t));
		if (owners[i].held == NULL)
			abort();
	}
}

/* Each record is in one hand or in the buffer, once. */
static bool each_once(struct owner *owners, uint64_t records)
{
	uint8_t *found = calloc(records + 1, 1);
	bool good = true;

	(void)rpcprof_buffer_drain(&run.buffer, drained, &owners[0]);
	for (size_t i = 0; i < THREADS; i++) {
		for (size_t j = 0; j < owners[i].count; j++)
			found[owners[i].held[j]]++;
	}
	for (uint64_t i = 1; i <= records; i++)
		good &= found[i] == 1;
	free(found);
	return good;
}

int main(void)
{
	struct owner owners[THREADS] = { 0 };
	uint64_t records = 2 * CAPACITY, pushed = 0, received = 0, torn = 0;
	bool once;

	run_open(owners, records);
	for (uint64_t i = 1; i <= records; i++) {
		struct owner *owner = &owners[i % THREADS];

		owner->held[owner->count++] = i;
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *(*fn)(void *) = i < PUSHERS ? push_thread : drain_thread;

		if (pthread_create(&owners[i].thread, NULL, fn, &owners[i]) != 0)
			abort();
	}
	(void)nanosleep(&(struct timespec){ .tv_nsec = RUN_NS }, NULL);
	rpcprof_store_relaxed(&run.stop, 1);
	for (size_t i = 0; i < THREADS; i++)
		(void)pthread_join(owners[i].thread, NULL);
	once = each_once(owners, records);
	for (size_t i = 0; i < THREADS; i++) {
		pushed += owners[i].pushed;
		received += owners[i].received;
		torn += owners[i].torn;
		free(owners[i].held);
	}
	printf("%" PRIu64 " records: pushed %" PRIu64 ", received %" PRIu64 ", torn %" PRIu64
	       ", each once: %s\n", records, pushed, received, torn, once ? "yes" : "NO");
	free(run.buffer.memory);
	free(run.records);
	return once && torn == 0 && received == pushed ? 0 : 1;
}
