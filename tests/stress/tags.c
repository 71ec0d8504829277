/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight threads intern overlapping sets of names, each in an order of its own, while names are
 * read: every name has one id, every id one name, from the first moment; full budgets are counted
 * exactly; what lost races cost is printed.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "timers/tags_internal.h"

#define THREADS 8
#define NAMES 3000
#define ROUNDS 40

/* Half of the names are methods, with room for two thirds of them; the stages have room for all,
 * lost races included. */
static const struct rpcprof_tag_limits limits = { 20000, 1280000, { 0, 1000, 0 } };

static uint32_t ids[NAMES]; /* what the first to learn it was told; 0 = nobody yet */
static uint64_t wrong, refused;
static pthread_barrier_t line;

struct worker {
	pthread_t thread;
	unsigned int number;
};

static bool is_method(unsigned int i)
{
	return i % 2 == 0;
}

static void fail(const char *what, unsigned int i, uint32_t id)
{
	fprintf(stderr, "%s: name %u, id %u\n", what, i, id);
	__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
}

static void check(unsigned int i, uint32_t id, const char *name)
{
	uint32_t before = 0;
	size_t bytes;

	if (id <= RPCPROF_TAG_UNKNOWN_METHOD)
		fail("no id", i, id);
	if (!__atomic_compare_exchange_n(&ids[i], &before, id, false, __ATOMIC_RELAXED,
	                                 __ATOMIC_RELAXED) && before != id)
		fail("two ids", i, id);
	if (strcmp(rpcprof_tag_name(id, &bytes), name) != 0 || bytes != strlen(name))
		fail("wrong name", i, id);
	if (rpcprof_tag_find(name, bytes) != id)
		fail("not found", i, id);
}

static void intern(unsigned int i)
{
	enum rpcprof_tag_kind kind = is_method(i) ? RPCPROF_TAG_METHOD : RPCPROF_TAG_STAGE;
	char name[48];
	uint32_t id;

	snprintf(name, sizeof(name), "/stress.Service%u/%.*s", i, (int)(i % 17),
	         "0123456789abcdefg");
	id = rpcprof_tag_intern(kind, name, (size_t)-1);
	if (id == RPCPROF_TAG_OTHER && is_method(i))
		__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
	else
		check(i, id, name);
}

/* Any id, given or not, at any time: the text ends, and has the length that goes with it. */
static void look(uint32_t id)
{
	size_t bytes;
	const char *text = rpcprof_tag_name(id, &bytes);

	if (strlen(text) != bytes || (bytes > 0 && text[0] != '/' && id > 4))
		fail("torn name", 0, id);
}

static void *work(void *arg)
{
	const struct worker *worker = arg;
	/* Pairs of neighbours go the same way at once, the other pairs the other way. */
	unsigned int step = worker->number / 2 % 2 ? 1 : NAMES - 1;
	unsigned int at = worker->number / 4 * 7;

	pthread_barrier_wait(&line);
	for (unsigned int n = 0; n < NAMES; n++) {
		intern(at);
		look(n * 7 % (limits.entries + 2));
		at = (at + step) % NAMES;
	}
	return NULL;
}

/* After the threads: are ids distinct, and do the totals agree with what was seen? */
static uint64_t settle(void)
{
	static bool used[1 << 16];
	struct rpcprof_tag_totals totals;
	uint64_t named = 0;

	memset(used, 0, sizeof(used));
	for (unsigned int i = 0; i < NAMES; i++) {
		if (ids[i] == 0)
			continue;
		if (used[ids[i]])
			fail("id given twice", i, ids[i]);
		used[ids[i]] = true;
		named++;
	}
	rpcprof_tags_totals(&totals);
	if (totals.overflow[RPCPROF_TAG_METHOD] != refused || totals.overflow[RPCPROF_TAG_STAGE])
		fail("overflow miscounted", 0, 0);
	if (totals.entries < named + 4 || named < NAMES / 2)
		fail("entries miscounted", (unsigned int)named, (uint32_t)totals.entries);
	return totals.entries - named - 4;
}

/* Returns how many entries were lost to races, -1 for want of memory or threads. */
static int64_t run_round(void)
{
	size_t bytes = rpcprof_tags_bytes(&limits);
	void *memory = aligned_alloc(128, bytes);
	struct worker workers[THREADS];
	uint64_t lost;

	if (!memory)
		return -1;
	rpcprof_tags_attach(memset(memory, 0, bytes), &limits);
	memset(ids, 0, sizeof(ids));
	refused = 0;
	for (unsigned int i = 0; i < THREADS; i++) {
		workers[i].number = i;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
			return -1;
	}
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	lost = settle();
	free(memory);
	return (int64_t)lost;
}

int main(void)
{
	uint64_t lost = 0, refusals = 0;

	pthread_barrier_init(&line, NULL, THREADS);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t entries = run_round();

		if (entries < 0)
			return 1;
		lost += (uint64_t)entries;
		refusals += refused;
	}
	printf("tags: %d rounds, %d threads, %d names: %lu refused and counted, %lu entries lost "
	       "to races, %lu wrong\n", ROUNDS, THREADS, NAMES, (unsigned long)refusals,
	       (unsigned long)lost, (unsigned long)wrong);
	return wrong != 0;
}
