/* SPDX-License-Identifier: Apache-2.0 */
/* Names: one id each, and whoever has an id reads its name. */
#include <string.h>

#include "fixture.h"
#include "timers/tag_table_internal.h"

static uint64_t memory[512] __attribute__((aligned(64)));
static const struct rpcprof_tag_limits limits = {
	.entries = 12, .bytes = 512, .kind_entries = {0, 2, 2}};
static uint64_t site;

static void table(void)
{
	struct rpcprof_tag_header *header = (struct rpcprof_tag_header *)(void *)memory;

	fixture_arena(false);
	memset(memory, 0, sizeof(memory));
	site = 0;
	REQUIRE(rpcprof_tags_bytes(&limits) <= sizeof(memory));
	header->seed = 12345;
	rpcprof_tags_attach(memory, &limits);
}

static void named(uint32_t id, const char *name)
{
	size_t bytes;
	const uint64_t *words = (const uint64_t *)(const void *)rpcprof_tag_name(id, &bytes);
	uint64_t expected[2] = {0};

	REQUIRE(bytes == strlen(name));
	memcpy(expected, name, bytes);
	for (size_t i = 0; i <= bytes / 8; i++)
		REQUIRE(rpcprof_load_relaxed(&words[i]) == expected[i]);
}

static uint32_t intern(enum rpcprof_tag_kind kind, const char *name)
{
	uint32_t id = rpcprof_tag_intern(kind, name, (size_t)-1);

	REQUIRE(id > RPCPROF_TAG_UNKNOWN_METHOD);
	named(id, name);
	return id;
}

/* Before init, so this is the first case of all: a site caches no id of a table that is not there. */
static void no_table(void)
{
	memset(memory, 0, sizeof(memory));
	((struct rpcprof_tag_header *)(void *)memory)->seed = 12345;
}

static void attach_or_warm(int thread)
{
	if (thread == 0) {
		rpcprof_tags_attach(memory, &limits);
	} else {
		uint32_t id = rpcprof_tag_cached(&site, RPCPROF_TAG_STAGE, "/one");
		REQUIRE(id == RPCPROF_TAG_NONE || id > RPCPROF_TAG_UNKNOWN_METHOD);
		REQUIRE(site == 0 || (uint32_t)site != RPCPROF_TAG_NONE);
	}
}

/* With what was given back: the records are behind 32 buckets. */
static void table_of_records(void)
{
	uint64_t *records = (uint64_t *)((struct rpcprof_tag_header *)(void *)memory + 1) + 32;

	table();
	interleave_owned(records, 8 * 65);
}

/* Whoever loses gives its words back, and thread 1 takes them. */
static void intern_again(int thread)
{
	(void)intern(RPCPROF_TAG_STAGE, "/one");
	if (thread == 1)
		(void)intern(RPCPROF_TAG_STAGE, "/two");
}

static void intern_one_name(int thread)
{
	execution.kept[thread][0] = intern(RPCPROF_TAG_STAGE, "/one");
}

static void one_id(void)
{
	REQUIRE(execution.kept[0][0] == execution.kept[1][0]);
	REQUIRE(execution.kept[2][0] == 0 || execution.kept[2][0] == execution.kept[0][0]);
}

static void intern_two_names(int thread)
{
	execution.kept[thread][0] = intern(RPCPROF_TAG_STAGE, thread == 0 ? "/one" : "/a/longer/one");
	execution.kept[thread][1] = intern(RPCPROF_TAG_STAGE, thread == 0 ? "/a/longer/one" : "/one");
}

static void two_ids(void)
{
	REQUIRE(execution.kept[0][0] == execution.kept[1][1]);
	REQUIRE(execution.kept[0][1] == execution.kept[1][0]);
	REQUIRE(execution.kept[0][0] != execution.kept[0][1]);
}

static void intern_or_find(int thread)
{
	uint32_t id;

	if (thread == 0) {
		(void)intern(RPCPROF_TAG_STAGE, "/one");
	} else {
		id = rpcprof_tag_find("/one", 4);
		if (id != 0)
			named(id, "/one");
	}
}

/* An id that came by a relaxed load: a name or none, never rubbish. */
static void intern_or_name(int thread)
{
	size_t bytes;

	if (thread == 0) {
		(void)intern(RPCPROF_TAG_STAGE, "/one");
		return;
	}
	(void)rpcprof_tag_name(5, &bytes);
	if (bytes != 0)
		named(5, "/one");
}

static void site_is_warmed(int thread)
{
	uint32_t id = rpcprof_tag_cached(&site, RPCPROF_TAG_STAGE, "/one");
	size_t bytes;

	(void)thread;
	REQUIRE(id != 0);
	/* G11: the name may show as "" once where another thread warmed the site. */
	(void)rpcprof_tag_name(id, &bytes);
	if (bytes != 0)
		named(id, "/one");
}


/* More names than the budget of methods: none is exceeded. */
static void intern_methods(int thread)
{
	static const char *const names[] = {"/m0", "/m1", "/m2"};

	execution.kept[thread][0] = rpcprof_tag_intern(RPCPROF_TAG_METHOD, names[thread], (size_t)-1);
	if (execution.kept[thread][0] != RPCPROF_TAG_OTHER)
		named((uint32_t)execution.kept[thread][0], names[thread]);
}

static void two_of_three_have_ids(void)
{
	int others = 0;

	for (int i = 0; i < 3; i++)
		others += execution.kept[i][0] == RPCPROF_TAG_OTHER;
	REQUIRE(others == 1);
	REQUIRE(((struct rpcprof_tag_header *)(void *)memory)->kinds[RPCPROF_TAG_METHOD].overflow == 1);
}

const struct interleave_case tag_cases[] = {
	{"attach_and_warm", 2, 2, 2, 0, no_table, attach_or_warm, NULL},
	{"intern_one_name", 2, ALL, ALL, 0, table, intern_one_name, one_id},
	{"intern_one_name_3", 3, 2, 1, 0, table, intern_one_name, one_id},
	{"intern_two_names", 2, 2, 2, 0, table, intern_two_names, two_ids},
	{"words_given_back", 2, ALL, ALL, 0, table_of_records, intern_again, NULL},
	{"intern_and_find", 2, ALL, ALL, 0, table, intern_or_find, NULL},
	{"intern_and_name", 2, ALL, ALL, 0, table, intern_or_name, NULL},
	{"warm_a_site", 2, ALL, ALL, 0, table, site_is_warmed, NULL},
	{"budget_of_two", 3, 3, 2, 0, table, intern_methods, two_of_three_have_ids},
	{0},
};
