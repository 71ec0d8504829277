/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a configuration to the layout of an arena, and what it takes.
 */
#include <errno.h>
#include <string.h>

#include "stats/control_internal.h"

/* What regions of the arena are rounded to: at least a page of any kernel of the architecture,
 * for a forked child maps over some of them. */
#define PAGE RPCPROF_CONTROL_BYTES

/* The size of the first configuration ever published: a shorter one is not one of ours. */
#define CONFIG_BYTES_MIN offsetof(struct rpcprof_config, max_in_flight)

/* An odd number of cache lines: the lines that every Stat has written to, the first and those of a
 * few timers, then lie in all sets of a cache, where with a power of two most would stay empty. */
#define CELL_BYTES (17 * RPCPROF_CACHE_LINE)

static int in_range(const char *name, uint64_t value, uint64_t low, uint64_t high)
{
	if (value >= low && value <= high)
		return 0;
	rpcprof_log(RPCPROF_LOG_ERROR, "init: %s is %llu; it must be %llu to %llu", name,
	            (unsigned long long)value, (unsigned long long)low, (unsigned long long)high);
	return -EINVAL;
}

static void defaults(struct rpcprof_config *config)
{
	if (config->capacity == 0)
		config->capacity = 16384;
	if (config->cell_bytes == 0)
		config->cell_bytes = CELL_BYTES;
	if (config->max_in_flight == 0)
		config->max_in_flight = config->capacity / 4 > 64 ? config->capacity / 4 : 64;
	if (config->tag_entries == 0)
		config->tag_entries = 4096;
	if (config->tag_bytes == 0)
		config->tag_bytes = 262144;
	if (config->method_tags == 0)
		config->method_tags = config->tag_entries / 4;
	if (config->label_tags == 0)
		config->label_tags = config->tag_entries / 4;
}

static void limits_fill(const struct rpcprof_config *config, struct rpcprof_tag_limits *limits)
{
	limits->entries = config->tag_entries;
	limits->bytes = config->tag_bytes;
	limits->kind_entries[RPCPROF_TAG_METHOD] = config->method_tags;
	limits->kind_entries[RPCPROF_TAG_LABEL] = config->label_tags;
	limits->kind_entries[RPCPROF_TAG_STAGE] =
		config->tag_entries - config->method_tags - config->label_tags;
}

/* Whether every kind of tag gets room for what must be there. */
static int tags_fit(const struct rpcprof_config *config)
{
	struct rpcprof_tag_limits limits;

	limits_fill(config, &limits);
	if (rpcprof_tags_bytes(&limits) != 0)
		return 0;
	rpcprof_log(RPCPROF_LOG_ERROR, "init: tag_bytes is %u for %u tag_entries, %u of them for "
	            "methods and %u for labels: no room for each kind; use more tag_bytes",
	            config->tag_bytes, config->tag_entries, config->method_tags,
	            config->label_tags);
	return -EINVAL;
}

static size_t page_up(size_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static uint64_t ring_slots(const struct rpcprof_config *config)
{
	struct rpcprof_buffer shape;
	static char nowhere[LINE_PAIR] __attribute__((aligned(LINE_PAIR)));

	(void)rpcprof_buffer_init(&shape, nowhere, config->capacity, 0); /* capacity is in range */
	return rpcprof_buffer_slots(&shape);
}

/* One each: the null cell, every ring slot, every Stat in flight, and as many again for what
 * threads hold back in their stashes. */
static uint64_t cell_count(const struct rpcprof_config *config)
{
	uint32_t rings = config->single_ring ? 1 : 2;

	return 1 + rings * ring_slots(config) + 2 * (uint64_t)config->max_in_flight;
}

/* Whether a stamp, a cell's offset and a tag added up, stays within its half of the word. */
static int cells_fit(const struct rpcprof_config *config)
{
	uint64_t units = cell_count(config) * RPCPROF_CELL_SLOTS;

	if (units + config->tag_entries < RPCPROF_BY_OWNER)
		return 0;
	rpcprof_log(RPCPROF_LOG_ERROR, "init: capacity %u and max_in_flight %u take more cells than "
	            "handles can name; use a smaller max_in_flight", config->capacity,
	            config->max_in_flight);
	return -EINVAL;
}

int rpcprof_config_fill(const struct rpcprof_config *config, struct rpcprof_config *filled)
{
	struct rpcprof_config all;

	memset(&all, 0, sizeof(all));
	if (config != NULL) {
		if (in_range("size", config->size, CONFIG_BYTES_MIN, sizeof(all)) != 0)
			return -EINVAL;
		memcpy(&all, config, config->size);
	}
	all.size = sizeof(all);
	defaults(&all);
	if (in_range("capacity", all.capacity, 1, RPCPROF_CAPACITY_MAX) != 0 ||
	    in_range("max_in_flight", all.max_in_flight, 1, RPCPROF_CAPACITY_MAX) != 0 ||
	    in_range("clock", all.clock, RPCPROF_CLOCK_AUTO, RPCPROF_CLOCK_CUSTOM) != 0 ||
	    in_range("tag_entries", all.tag_entries, 16, 1u << 20) != 0 ||
	    in_range("tag_bytes", all.tag_bytes, 1024, 1u << 30) != 0 ||
	    in_range("method_tags + label_tags", (uint64_t)all.method_tags + all.label_tags, 0,
	             all.tag_entries - 8) != 0)
		return -EINVAL;
	if (in_range("cell_bytes", all.cell_bytes, RPCPROF_CELL_BYTES_MIN, RPCPROF_CELL_BYTES_MAX) != 0)
		return -EINVAL;
	if (all.cell_bytes % RPCPROF_CACHE_LINE != 0) {
		rpcprof_log(RPCPROF_LOG_ERROR, "init: cell_bytes is %u; it must be a multiple of %d",
		            all.cell_bytes, RPCPROF_CACHE_LINE);
		return -EINVAL;
	}
	if (tags_fit(&all) != 0 || cells_fit(&all) != 0)
		return -EINVAL;
	*filled = all;
	return 0;
}

void rpcprof_layout_fill(const struct rpcprof_config *config, struct rpcprof_layout *layout,
                         struct rpcprof_tag_limits *limits)
{
	uint32_t rings = config->single_ring ? 1 : 2;
	size_t ring = page_up(rpcprof_buffer_bytes(config->capacity, 0));

	limits_fill(config, limits);
	layout->cell_count = cell_count(config);
	layout->shared = RPCPROF_CONTROL_BYTES;
	layout->fresh = layout->shared + page_up(sizeof(struct rpcprof_arena_shared));
	layout->history = layout->fresh + ring;
	layout->cells = layout->history + (rings - 1) * ring;
	layout->tags = layout->cells + page_up(layout->cell_count * config->cell_bytes);
	layout->total = layout->tags + page_up(rpcprof_tags_bytes(limits));
}

int rpcprof_memory_needed(const struct rpcprof_config *config, struct rpcprof_memory *memory)
{
	struct rpcprof_tag_limits limits;
	struct rpcprof_layout layout;
	struct rpcprof_config filled;
	int error = rpcprof_config_fill(config, &filled);

	if (error != 0)
		return error;
	rpcprof_layout_fill(&filled, &layout, &limits);
	memory->control = layout.fresh;
	memory->slots = layout.cells - layout.fresh;
	memory->cells = layout.tags - layout.cells;
	memory->tags = layout.total - layout.tags;
	memory->total = layout.total;
	return 0;
}
