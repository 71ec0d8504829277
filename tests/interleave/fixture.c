/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <string.h>

#define THREADS 3

struct thread_locals {
	struct rpcprof_thread_state self;
	struct rpcprof_thread_id id;
};

struct execution execution;
static struct thread_locals at_begin[THREADS], now[THREADS];
static int is_now;

static uint64_t ticks(void)
{
	return 1000;
}

static int64_t ns(void)
{
	return 1000;
}

static void init_once(void)
{
	static const struct rpcprof_clock_source source = {ticks, ns, ns, 0};
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = 64, .cell_bytes = 512};

	if (rpcprof_started())
		return;
	rpcprof_clock_set_source(&source);
	REQUIRE(rpcprof_init(&config) == 0);
	REQUIRE(rpcprof_enable(true) == 0);
}

static void ring(struct rpcprof_buffer *buffer, uint64_t offset)
{
	(void)rpcprof_buffer_init(buffer, rpcprof_map.base + offset, 1, 1);
	buffer->own_cpus = 1;
}

void fixture_arena(bool history)
{
	struct rpcprof_control_body *body = rpcprof_control();

	init_once();
	memset(rpcprof_map.base + body->shared_offset, 0, body->tags_offset - body->shared_offset);
	body->capacity = 1;
	body->head.clock_kind = RPCPROF_CLOCK_RAW;
	rpcprof_arena.grant = GRANT;
	ring(&rpcprof_map.fresh, body->fresh_offset);
	rpcprof_map.history.memory = NULL;
	if (history)
		ring(&rpcprof_map.history, body->history_offset);
	for (uint32_t i = 1; i < 16; i++) {
		struct rpcprof_cell *cell = rpcprof_cell_of(i * RPCPROF_CELL_SLOTS);
		interleave_split(&cell->own_next);
		interleave_split(&cell->open_lap);
	}
	for (int i = 0; i < THREADS; i++) {
		at_begin[i] = (struct thread_locals){
			.self = {.registered = 1, .stash_limit = 2,
			         .counters = &rpcprof_map.shared->thread[i]},
			.id = {101 + (uint64_t)i}};
		rpcprof_map.shared->thread[i].thread = 101 + (uint32_t)i;
	}
	rpcprof_self = at_begin[0].self;
	rpcprof_thread = at_begin[0].id;
	is_now = 0;
}

void fixture_be(int thread)
{
	at_begin[is_now] = (struct thread_locals){rpcprof_self, rpcprof_thread};
	rpcprof_self = at_begin[thread].self;
	rpcprof_thread = at_begin[thread].id;
	is_now = thread;
}

void interleave_begin(void)
{
	if (is_now >= 0)
		fixture_be(0);
	is_now = -1;
	memcpy(now, at_begin, sizeof(now));
	memset(&execution, 0, sizeof(execution));
}

void interleave_switch(int from, int to)
{
	if (from >= 0)
		now[from] = (struct thread_locals){rpcprof_self, rpcprof_thread};
	rpcprof_self = now[to].self;
	rpcprof_thread = now[to].id;
}

uint32_t twin_cpu(void)
{
	return 0; /* all on one: the most that they can get in each other's way */
}

struct rpcprof_stat fixture_begin(uint32_t n)
{
	return rpcprof_stat_begin_at(n, n * 100 + 1);
}

void fixture_fill(struct rpcprof_stat stat, uint32_t n)
{
	struct rpcprof_timer timer;

	rpcprof_stat_set_method(stat, n);
	rpcprof_stat_set_connection(stat, n, n);
	timer = rpcprof_timer_begin_at(stat, n, n * 100 + 2);
	rpcprof_timer_end_at(timer, n * 100 + 3);
}

void fixture_end(struct rpcprof_stat stat, uint32_t n)
{
	rpcprof_stat_end_at(stat, n * 100 + 50);
}

void fixture_whole(const struct rpcprof_cell *cell, uint32_t n)
{
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);

	REQUIRE(rpcprof_load_relaxed(&cell->tag) == n);
	REQUIRE(rpcprof_load_relaxed(&cell->begin) == n * 100 + 1);
	REQUIRE(rpcprof_load_relaxed(&cell->end) == n * 100 + 50);
	REQUIRE((uint32_t)rpcprof_load_relaxed(&cell->method) == n);
	REQUIRE(rpcprof_load_relaxed(&slot->begin) == n * 100 + 2);
	REQUIRE(rpcprof_load_relaxed(&slot->end) == n * 100 + 3);
}

void fixture_append(struct rpcprof_stat stat, uint32_t tag, uint64_t begin, uint64_t end)
{
	struct rpcprof_detached_timer timer = {begin, end, tag, 7};

	rpcprof_stat_append(stat, &timer);
}

unsigned fixture_out(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 32; i++)
		count += execution.out[i];
	return count;
}

/* A chain's cells after the first are a tree. */
static unsigned cells_below(uint32_t unit)
{
	uint64_t links;

	if (unit == 0)
		return 0;
	links = rpcprof_cell_of(unit)->begin;
	return 1 + cells_below((uint32_t)(links >> 32)) + cells_below((uint32_t)links);
}

unsigned fixture_depot_cells(void)
{
	uint32_t chain = (uint32_t)rpcprof_map.shared->depot;
	unsigned count = 0;

	for (; chain != 0 && count < 100; chain = (uint32_t)rpcprof_cell_of(chain)->begin)
		count += 1 + cells_below((uint32_t)(rpcprof_cell_of(chain)->begin >> 32));
	return count;
}
