/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circular buffer of another layer's values: the last picks of a load balancer. A pick fits in
 * 64 bits, so the buffer holds the picks themselves; a larger record would put its index in.
 */
#include <rpcprof/buffer.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICKS_KEPT 1000
#define PICKS_PER_THREAD 100000
#define BACKENDS 3

enum outcome { PICKED, QUEUED, REFUSED, OUTCOMES };

/* backend in 16 bits, outcome in 8, latency in 40. The buffer takes no 0, so backends go from 1. */
static uint64_t pack(uint32_t backend, enum outcome outcome, uint64_t latency_ns)
{
	return (uint64_t)(backend + 1) << 48 | (uint64_t)outcome << 40 | latency_ns;
}

struct table {
	uint64_t picks[BACKENDS][OUTCOMES];
	uint64_t latency_ns[BACKENDS];
};

static int add_to_table(void *arg, uint64_t pick)
{
	struct table *table = arg;
	uint32_t backend = (uint32_t)(pick >> 48) - 1;

	table->picks[backend][pick >> 40 & 0xff]++;
	table->latency_ns[backend] += pick & ((UINT64_C(1) << 40) - 1);
	return 0;
}

/* Stands for the threads that send RPCs. What a push displaces needs no care: it is a number. */
static void *balance(void *arg)
{
	for (uint32_t i = 0; i < PICKS_PER_THREAD; i++) {
		enum outcome outcome = i % 50 == 0 ? REFUSED : i % 10 == 0 ? QUEUED : PICKED;

		(void)rpcprof_buffer_push(arg, pack(i % BACKENDS, outcome, 200 + i % 7));
	}
	return NULL;
}

int main(void)
{
	size_t bytes = rpcprof_buffer_bytes(PICKS_KEPT, 0);
	void *memory = aligned_alloc(128, bytes);
	struct rpcprof_buffer buffer;
	struct table table = { 0 };
	pthread_t threads[2];
	size_t drained;

	if (memory == NULL)
		return EXIT_FAILURE;
	memset(memory, 0, bytes); /* all-zero is empty */
	if (rpcprof_buffer_init(&buffer, memory, PICKS_KEPT, 0) != 0)
		return EXIT_FAILURE;
	for (int i = 0; i < 2; i++) {
		if (pthread_create(&threads[i], NULL, balance, &buffer) != 0)
			return EXIT_FAILURE;
	}
	for (int i = 0; i < 2; i++)
		(void)pthread_join(threads[i], NULL);
	drained = rpcprof_buffer_drain(&buffer, add_to_table, &table);

	printf("the last %zu of %d picks\n", drained, 2 * PICKS_PER_THREAD);
	printf("backend  picked  queued  refused  latency ns\n");
	for (int i = 0; i < BACKENDS; i++) {
		const uint64_t *picks = table.picks[i];
		uint64_t all = picks[PICKED] + picks[QUEUED] + picks[REFUSED];

		printf("%7d  %6" PRIu64 "  %6" PRIu64 "  %7" PRIu64 "  %10.1f\n", i, picks[PICKED],
		       picks[QUEUED], picks[REFUSED],
		       all != 0 ? (double)table.latency_ns[i] / (double)all : 0.0);
	}
	free(memory);
	return drained >= PICKS_KEPT ? EXIT_SUCCESS : EXIT_FAILURE;
}
