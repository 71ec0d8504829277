/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that push into shared memory are killed at any point, again and again, while another
 * drains. Nothing may come out twice or be made up; a kill may lose the value in hand and the one
 * displaced by it; and what is left is a whole buffer.
 */
#include "rpcprof/buffer.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "atomic_internal.h"

#define CAPACITY 300
#define CHILDREN 4
#define KILLS 200
#define VALUES_MAX (UINT64_C(1) << 28)

/* Shared with the children. */
struct ledger {
	uint64_t begun; /* the next value, minus one */
	uint64_t wrong, doubled;
	uint64_t seen[VALUES_MAX / 64];
};

static struct rpcprof_buffer buffer;
static struct ledger *ledger;

static void *map_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

static int came_out(void *arg, uint64_t value)
{
	uint64_t bit = UINT64_C(1) << value % 64;

	(void)arg;
	if (value == 0 || value > rpcprof_load_relaxed(&ledger->begun))
		(void)rpcprof_add_relaxed(&ledger->wrong, 1);
	else if (rpcprof_or_relaxed(&ledger->seen[value / 64], bit) & bit)
		(void)rpcprof_add_relaxed(&ledger->doubled, 1);
	return 0;
}

static void push_for_ever(void)
{
	for (;;) {
		uint64_t value = rpcprof_add_relaxed(&ledger->begun, 1) + 1, displaced;

		if (value >= VALUES_MAX)
			(void)pause();
		displaced = rpcprof_buffer_push(&buffer, value);
		if (displaced != 0)
			(void)came_out(NULL, displaced);
	}
}

static pid_t start(void)
{
	pid_t child = fork();

	if (child < 0)
		abort();
	if (child == 0)
		push_for_ever();
	return child;
}

static void kill_one(pid_t child)
{
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
}

static uint64_t count_seen(void)
{
	uint64_t bits = 0;

	for (uint64_t i = 0; i < VALUES_MAX / 64; i++)
		bits += (uint64_t)__builtin_popcountll(ledger->seen[i]);
	return bits;
}

static int count(void *arg, uint64_t value)
{
	(void)value;
	++*(uint64_t *)arg;
	return 0;
}

/* Whatever the dead left behind: two laps later it holds as much as any. */
static bool still_whole(void)
{
	uint64_t kept = 0;

	for (uint64_t i = 1; i <= 2 * rpcprof_buffer_slots(&buffer); i++)
		(void)rpcprof_buffer_push(&buffer, i);
	(void)rpcprof_buffer_walk(&buffer, count, &kept);
	return kept >= CAPACITY;
}

int main(void)
{
	pid_t children[CHILDREN];
	uint64_t begun, seen;
	bool whole;

	ledger = map_shared(sizeof(*ledger));
	if (rpcprof_buffer_init(&buffer, map_shared(rpcprof_buffer_bytes(CAPACITY, 0)), CAPACITY,
				0) != 0)
		abort();
	for (int i = 0; i < CHILDREN; i++)
		children[i] = start();
	for (int i = 0; i < KILLS; i++) {
		(void)nanosleep(&(struct timespec){ .tv_nsec = 500000 + 7919 * i % 1000000 }, NULL);
		kill_one(children[i % CHILDREN]);
		(void)rpcprof_buffer_drain(&buffer, came_out, NULL);
		children[i % CHILDREN] = start();
	}
	for (int i = 0; i < CHILDREN; i++)
		kill_one(children[i]);
	(void)rpcprof_buffer_drain(&buffer, came_out, NULL);
	begun = ledger->begun;
	seen = count_seen();
	whole = still_whole();
	printf("%d kills: begun %" PRIu64 ", came out %" PRIu64 ", lost %" PRIu64 " (at most %d), "
	       "doubled %" PRIu64 ", wrong %" PRIu64 ", still whole: %s\n", KILLS + CHILDREN, begun,
	       seen, begun - seen, 2 * (KILLS + CHILDREN), ledger->doubled, ledger->wrong,
	       whole ? "yes" : "NO");
	return ledger->wrong == 0 && ledger->doubled == 0 && whole &&
	       begun - seen <= 2 * (KILLS + CHILDREN) ? 0 : 1;
}
