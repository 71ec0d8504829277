/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_ARENA_HARNESS_H
#define RPCPROF_TESTS_ARENA_HARNESS_H

/* What the tests of the arena share: one of a given capacity, calls, and what is counted. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "rpcprof/rpcprof.h"

static char last_message[512];

static inline void keep_message(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	(void)snprintf(last_message, sizeof(last_message), "%s", message);
}

static inline struct rpcprof_config config_of(uint32_t capacity)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = capacity, .log = keep_message};
	return config;
}

static inline void start(uint32_t capacity)
{
	struct rpcprof_config config = config_of(capacity);

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static inline struct rpcprof_counters counters(void)
{
	struct rpcprof_counters all;

	cr_assert_eq(rpcprof_counters_get(&all), 0);
	return all;
}

static inline void record(int32_t number)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	rpcprof_stat_set_status(stat, number);
	rpcprof_stat_end(stat);
}

static inline int count_only(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

#endif
