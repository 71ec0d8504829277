/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_TAG_FIXTURE_H
#define RPCPROF_TESTS_TAG_FIXTURE_H

/* Tables to test, one or a few per test. Each test is a process of its own. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "timers/tag_table_internal.h"

#define WHOLE ((size_t)-1)

/* 40 entries: 20 stages (4 of them fixed), 12 methods, 8 labels; 64 bytes each. */
static const struct rpcprof_tag_limits small = { 40, 2560, { 0, 12, 8 } };
static const struct rpcprof_tag_limits usual = { 4096, 262144, { 0, 1024, 1024 } };

/* Names are good as long as the process, so no table is freed. */
static inline void *memory_for(const struct rpcprof_tag_limits *limits)
{
	static void *kept[4];
	static int count;
	size_t bytes = rpcprof_tags_bytes(limits);
	void *memory = aligned_alloc(128, bytes);

	cr_assert_not_null(memory);
	cr_assert(count < 4 && !kept[count]);
	kept[count++] = memory;
	return memset(memory, 0, bytes);
}

static inline void *attach(const struct rpcprof_tag_limits *limits)
{
	void *memory = memory_for(limits);

	rpcprof_tags_attach(memory, limits);
	return memory;
}

static inline uint32_t stage(const char *name)
{
	return rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, WHOLE);
}

static inline uint32_t numbered(enum rpcprof_tag_kind kind, const char *format, unsigned long i)
{
	char name[64];

	snprintf(name, sizeof(name), format, i);
	return rpcprof_tag_intern(kind, name, WHOLE);
}

static inline uint64_t overflow(enum rpcprof_tag_kind kind)
{
	struct rpcprof_tag_totals totals;

	rpcprof_tags_totals(&totals);
	return totals.overflow[kind];
}

static inline uint64_t entries(void)
{
	struct rpcprof_tag_totals totals;

	rpcprof_tags_totals(&totals);
	return totals.entries;
}

/* Until the budget of a kind, empty but for the fixed names, is full. */
static inline void fill(enum rpcprof_tag_kind kind, unsigned long room)
{
	static const char *const formats[] = { "/stage/%lu", "/method/%lu", "/label/%lu" };
	const char *format = formats[kind];
	unsigned long i;

	for (i = 0; i < room; i++)
		cr_assert_gt(numbered(kind, format, i), RPCPROF_TAG_UNKNOWN_METHOD);
	cr_assert_eq(overflow(kind), 0);
	cr_assert_eq(numbered(kind, format, i), RPCPROF_TAG_OTHER);
	cr_assert_eq(numbered(kind, format, i), RPCPROF_TAG_OTHER);
	cr_assert_eq(overflow(kind), 2);
	cr_assert_gt(numbered(kind, format, 0), RPCPROF_TAG_UNKNOWN_METHOD);
}

#endif
