/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What callers compile in: handles, the words that inlined code touches, the control page, structs
 * that begin with their size. A change here breaks programs that were built before it, and takes a
 * new SONAME; a struct that begins with its size may grow at its end, and this file with it.
 * Most of it is checked by the compiler, so that this file does not build when one of them moves.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "rpcprof/rpcprof.h"

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " is frozen")
#define AT(type, member, offset)                                                               \
	_Static_assert(offsetof(type, member) == (offset), #type "." #member " is frozen")

/* Handles travel by value. */
SIZE(struct rpcprof_stat, 8);
SIZE(struct rpcprof_timer, 16);
AT(struct rpcprof_timer, begin, 0);
AT(struct rpcprof_timer, bits, 8);
SIZE(struct rpcprof_detached_timer, 24);
AT(struct rpcprof_detached_timer, begin, 0);
AT(struct rpcprof_detached_timer, end, 8);
AT(struct rpcprof_detached_timer, tag, 16);
AT(struct rpcprof_detached_timer, thread, 20);

_Static_assert(RPCPROF_CELL_SLOTS == 32 && RPCPROF_BY_OWNER == 1u << 31 &&
               RPCPROF_FOLDED == UINT64_C(1) << 63, "the bits of handles and stamps are frozen");

SIZE(struct rpcprof_timer_slot, 32);
AT(struct rpcprof_timer_slot, stamp, 0);
AT(struct rpcprof_timer_slot, begin, 8);
AT(struct rpcprof_timer_slot, end, 16);
AT(struct rpcprof_timer_slot, thread, 24);

SIZE(struct rpcprof_cell, 192);
AT(struct rpcprof_cell, seq, 0);
AT(struct rpcprof_cell, key, 8);
AT(struct rpcprof_cell, refs, 16);
AT(struct rpcprof_cell, slots, 24);
AT(struct rpcprof_cell, begin, 32);
AT(struct rpcprof_cell, end, 40);
AT(struct rpcprof_cell, own_next, 48);
AT(struct rpcprof_cell, own_limit, 52);
AT(struct rpcprof_cell, open_lap, 56);
AT(struct rpcprof_cell, tag, 60);
AT(struct rpcprof_cell, method, 64);
AT(struct rpcprof_cell, status, 72);
AT(struct rpcprof_cell, metadata_word, 80);
AT(struct rpcprof_cell, label_word, 88);
AT(struct rpcprof_cell, metadata, 96);
AT(struct rpcprof_cell, trace_word, 128);
AT(struct rpcprof_cell, trace_id, 136);
AT(struct rpcprof_cell, span_id, 152);
AT(struct rpcprof_cell, labels, 160);

AT(struct rpcprof_arena_base, cells, 0);
AT(struct rpcprof_arena_base, scale, 8);
AT(struct rpcprof_arena_base, capacity, 16);
AT(struct rpcprof_arena_base, grant, 20);
SIZE(struct rpcprof_thread_id, 8);

/* The switch, and what an outsider reads first. */
SIZE(union rpcprof_control, RPCPROF_CONTROL_BYTES);
AT(struct rpcprof_control_head, magic, 0);
AT(struct rpcprof_control_head, version, 8);
AT(struct rpcprof_control_head, byte_order, 12);
AT(struct rpcprof_control_head, enabled, 16);
AT(struct rpcprof_control_head, clock_kind, 20);
AT(struct rpcprof_control_head, tag_epoch, 24);

/* The fields that the first release has; later ones go after them. */
AT(struct rpcprof_config, size, 0);
AT(struct rpcprof_config, capacity, 8);
AT(struct rpcprof_config, cell_bytes, 12);
AT(struct rpcprof_config, max_in_flight, 16);
AT(struct rpcprof_config, single_ring, 20);
AT(struct rpcprof_config, clock, 24);
AT(struct rpcprof_config, tag_entries, 28);
AT(struct rpcprof_config, tag_bytes, 32);
AT(struct rpcprof_config, method_tags, 36);
AT(struct rpcprof_config, label_tags, 40);
AT(struct rpcprof_config, log, 48);
AT(struct rpcprof_config, log_arg, 56);

AT(struct rpcprof_filter, size, 0);
AT(struct rpcprof_filter, last, 8);
AT(struct rpcprof_filter, side, 12);
AT(struct rpcprof_filter, method, 16);
AT(struct rpcprof_filter, by_status, 20);
AT(struct rpcprof_filter, status, 24);
AT(struct rpcprof_filter, unordered, 28);
AT(struct rpcprof_filter, min_duration_ns, 32);

/* A program that knows no field after max_in_flight. */
Test(frozen, a_shorter_configuration_means_defaults_for_the_rest)
{
	struct rpcprof_config config, in_use = {.size = sizeof(in_use)};

	memset(&config, 0xff, sizeof(config));
	config.size = offsetof(struct rpcprof_config, single_ring);
	config.capacity = 64;
	config.cell_bytes = 512;
	config.max_in_flight = 0;
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_get_config(&in_use), 0);
	cr_assert_eq(in_use.capacity, 64);
	cr_assert_eq(in_use.single_ring, 0);
	cr_assert_eq(in_use.tag_entries, 4096);
}

/* A program built with a later release asks for what this one does not know. */
Test(frozen, a_longer_configuration_is_refused)
{
	union {
		struct rpcprof_config config;
		char bytes[sizeof(struct rpcprof_config) + 8];
	} later = {.config = {.size = sizeof(later)}};

	cr_assert_eq(rpcprof_init(&later.config), -EINVAL);
}
