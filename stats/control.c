/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init, fini, the switch: once per process, by the application.
 */
#include "rpcprof/control.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stats/control_internal.h"

union rpcprof_control rpcprof_control_page __attribute__((aligned(RPCPROF_CONTROL_BYTES)));
struct rpcprof_arena_map rpcprof_map;

/* What a handle points at before init: a cell that is never live, and whose key matches nobody. */
static struct {
	struct rpcprof_cell cell;
	struct rpcprof_timer_slot timers[RPCPROF_CELL_SLOTS];
} null_cell __attribute__((aligned(RPCPROF_CACHE_LINE)));
struct rpcprof_arena_base rpcprof_arena = {(char *)&null_cell, 0, 1, 0};

enum { NOT_YET, STARTING, STARTED };
static uint32_t init_state;

#define AT_FINI_MAX 8
static void (*at_fini[AT_FINI_MAX])(void);
static uint32_t at_fini_count;

static void control_fill(const struct rpcprof_config *config, const struct rpcprof_layout *layout)
{
	struct rpcprof_control_body *body = rpcprof_control();

	body->pid = (uint32_t)getpid();
	body->total_bytes = layout->total;
	body->shared_offset = layout->shared;
	body->fresh_offset = layout->fresh;
	body->history_offset = layout->history;
	body->cells_offset = layout->cells;
	body->tags_offset = layout->tags;
	body->cells = layout->cell_count;
	body->cell_bytes = config->cell_bytes;
	body->capacity = config->capacity;
	body->max_in_flight = config->max_in_flight;
	body->generation = 1;
}

/* Points this process at the arena that is mapped at base. */
static void map_fill(char *base, const struct rpcprof_config *config,
                     const struct rpcprof_layout *layout)
{
	struct rpcprof_arena_map *map = &rpcprof_map;

	map->shared = (struct rpcprof_arena_shared *)(void *)(base + layout->shared);
	(void)rpcprof_buffer_init(&map->fresh, base + layout->fresh, config->capacity, 0);
	if (!config->single_ring)
		(void)rpcprof_buffer_init(&map->history, base + layout->history, config->capacity,
		                          0);
	map->config = *config;
	map->base = base;
	rpcprof_arena.cells = base + layout->cells;
	rpcprof_arena.scale = config->cell_bytes / RPCPROF_CELL_SLOTS;
	rpcprof_arena.capacity =
		(uint32_t)((config->cell_bytes - sizeof(struct rpcprof_cell)) /
	                   sizeof(struct rpcprof_timer_slot)) - RPCPROF_ACCUMULATORS;
	/* Less than all, so that one claim comes before the cell is full: it prepares the
	 * accumulators. None where the short way's clock is not the process's. */
	if (rpcprof_load_relaxed(&rpcprof_control_page.head.clock_kind) == RPCPROF_CLOCK_RAW)
		rpcprof_arena.grant = rpcprof_arena.capacity > GRANT_FIRST
		                              ? GRANT_FIRST : rpcprof_arena.capacity - 1;
}

static char *arena_map(size_t bytes)
{
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	/* Cells lie shuffled after hand-offs between threads; fewer TLB misses. Only a wish. */
	(void)madvise(base, bytes, MADV_HUGEPAGE);
	return base;
}

static void head_fill(void)
{
	struct rpcprof_control_head *head = &rpcprof_control_page.head;

	head->version = 1;
	head->byte_order = 0x01020304;
	/* E3 release, pairs with outside readers: whoever sees the magic sees the rest. */
	rpcprof_store_release(&head->magic, MAGIC);
}

static int start(const struct rpcprof_config *config)
{
	struct rpcprof_tag_limits limits;
	struct rpcprof_layout layout;
	char *base;
	int error;

	error = rpcprof_copy_check();
	if (error != 0)
		return error;
	rpcprof_layout_fill(config, &layout, &limits);
	base = arena_map(layout.total);
	if (base == NULL) {
		rpcprof_log(RPCPROF_LOG_ERROR, "init: no memory for capacity %u: %zu bytes; try a "
		            "smaller capacity or max_in_flight", config->capacity, layout.total);
		return -ENOMEM;
	}
	error = rpcprof_clock_init(&rpcprof_control()->clock, (enum rpcprof_clock_kind)config->clock);
	if (error != 0) {
		(void)munmap(base, layout.total);
		rpcprof_log(RPCPROF_LOG_ERROR, "init: clock %u cannot be had here; use "
		            "RPCPROF_CLOCK_AUTO", config->clock);
		return error;
	}
	control_fill(config, &layout);
	map_fill(base, config, &layout);
	rpcprof_tags_attach(base + layout.tags, &limits);
	rpcprof_threads_init();
	rpcprof_fork_init();
	rpcprof_copy_mark();
	head_fill();
	return 0;
}

int rpcprof_init(const struct rpcprof_config *config)
{
	struct rpcprof_config filled;
	uint32_t state = NOT_YET;
	int error;

	/* I2 acquire, pairs with I1: what a start that failed took back. */
	if (!rpcprof_cas_acquire(&init_state, &state, STARTING))
		return -EALREADY;
	rpcprof_log_init(config);
	error = rpcprof_config_fill(config, &filled);
	if (error == 0)
		error = start(&filled);
	/* I1 release, pairs with I2: the map before the word that says it is there. */
	rpcprof_store_release(&init_state, error == 0 ? STARTED : NOT_YET);
	return error;
}

bool rpcprof_started(void)
{
	/* I2 acquire, pairs with I1. */
	return rpcprof_load_acquire(&init_state) == STARTED;
}

int rpcprof_get_config(struct rpcprof_config *config)
{
	size_t size;

	if (!rpcprof_started())
		return -ENODEV;
	size = config->size;
	if (size < sizeof(size) || size > sizeof(*config))
		return -EINVAL;
	memcpy(config, &rpcprof_map.config, size);
	config->size = size;
	return 0;
}

int rpcprof_enable(bool on)
{
	/* I6 acquire, here and below, pairs with I5. */
	if (!rpcprof_started() || rpcprof_load_acquire(&rpcprof_control()->finished) != 0)
		return -ENODEV;
	/* E1 release, pairs with E2: all that init stored. An exchange, and so acquire too: if it
	 * comes after fini's store it has read that, and must then see `finished`. */
	(void)rpcprof_exchange_acq_rel(&rpcprof_control_page.head.enabled, on ? 1u : 0u);
	/* fini may have come between: its word is the last. */
	if (on && rpcprof_load_acquire(&rpcprof_control()->finished) != 0)
		rpcprof_store_release(&rpcprof_control_page.head.enabled, 0u);
	return 0;
}

int rpcprof_at_fini(void (*fn)(void))
{
	uint32_t i;

	if (!rpcprof_started() || rpcprof_load_acquire(&rpcprof_control()->finished) != 0)
		return -ENODEV;
	i = rpcprof_add_relaxed(&at_fini_count, 1);
	if (i >= AT_FINI_MAX)
		return -ENOSPC;
	/* I3 release, pairs with I4. */
	rpcprof_store_release(&at_fini[i], fn);
	return 0;
}

void rpcprof_fini(void)
{
	/* I5 release, pairs with I6; the exchange lets one caller in. */
	if (!rpcprof_started() ||
	    rpcprof_exchange_acq_rel(&rpcprof_control()->finished, 1u) != 0)
		return;
	/* Release: an enable whose exchange (E1) reads this 0 sees `finished` too. */
	rpcprof_store_release(&rpcprof_control_page.head.enabled, 0u);
	for (uint32_t i = AT_FINI_MAX; i-- > 0;) {
		void (*fn)(void) = rpcprof_load_acquire(&at_fini[i]); /* I4 */
		if (fn != NULL)
			fn();
	}
}
