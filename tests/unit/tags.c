/* SPDX-License-Identifier: Apache-2.0 */
/* Tags: one id for one name, budgets that hold, names that are safe to read. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "timers/siphash_internal.h"
#include "timers/tag_table_internal.h"

#define WHOLE ((size_t)-1)

/* 40 entries: 20 stages (4 of them fixed), 12 methods, 8 labels; 64 bytes each. */
static const struct rpcprof_tag_limits small = { 40, 2560, { 0, 12, 8 } };
static const struct rpcprof_tag_limits usual = { 4096, 262144, { 0, 1024, 1024 } };

/* Names are good as long as the process, so no table is freed. */
static void *memory_for(const struct rpcprof_tag_limits *limits)
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

static void *attach(const struct rpcprof_tag_limits *limits)
{
	void *memory = memory_for(limits);

	rpcprof_tags_attach(memory, limits);
	return memory;
}

static uint32_t stage(const char *name)
{
	return rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, WHOLE);
}

static uint32_t numbered(enum rpcprof_tag_kind kind, const char *format, unsigned long i)
{
	char name[64];

	snprintf(name, sizeof(name), format, i);
	return rpcprof_tag_intern(kind, name, WHOLE);
}

static uint64_t overflow(enum rpcprof_tag_kind kind)
{
	struct rpcprof_tag_totals totals;

	rpcprof_tags_totals(&totals);
	return totals.overflow[kind];
}

static uint64_t entries(void)
{
	struct rpcprof_tag_totals totals;

	rpcprof_tags_totals(&totals);
	return totals.entries;
}

/* ---- before attach ---- */

Test(before, nothing_has_an_id)
{
	struct rpcprof_tag_totals totals;

	cr_assert_eq(stage("/decode"), 0);
	cr_assert_eq(stage("client"), 0);
	cr_assert_eq(rpcprof_tag_find("client", WHOLE), 0);
	rpcprof_tags_totals(&totals);
	cr_assert_eq(totals.entries, 0);
}

Test(before, the_fixed_ids_have_names)
{
	size_t bytes = 99;

	cr_assert_str_eq(rpcprof_tag_name(RPCPROF_TAG_NONE, NULL), "");
	cr_assert_str_eq(rpcprof_tag_name(RPCPROF_TAG_OTHER, &bytes), "(other)");
	cr_assert_eq(bytes, 7);
	cr_assert_str_eq(rpcprof_tag_name(RPCPROF_TAG_CLIENT, NULL), "client");
	cr_assert_str_eq(rpcprof_tag_name(RPCPROF_TAG_SERVER, NULL), "server");
	cr_assert_str_eq(rpcprof_tag_name(RPCPROF_TAG_UNKNOWN_METHOD, NULL), "_OTHER");
	cr_assert_str_eq(rpcprof_tag_name(5, &bytes), "");
	cr_assert_eq(bytes, 0);
}

static uint32_t decode_site(void)
{
	return RPCPROF_TAG("/decode");
}

Test(before, a_call_site_caches_nothing)
{
	uint32_t id;

	cr_assert_eq(decode_site(), 0);
	attach(&small);
	id = decode_site();
	cr_assert_neq(id, 0);
	cr_assert_eq(id, rpcprof_tag_find("/decode", WHOLE));
}

/* ---- one id for one name ---- */

Test(intern, the_fixed_names_have_the_fixed_ids)
{
	attach(&small);
	cr_assert_eq(stage("(other)"), RPCPROF_TAG_OTHER);
	cr_assert_eq(stage("client"), RPCPROF_TAG_CLIENT);
	cr_assert_eq(stage("server"), RPCPROF_TAG_SERVER);
	cr_assert_eq(stage("_OTHER"), RPCPROF_TAG_UNKNOWN_METHOD);
	cr_assert_eq(entries(), 4);
}

Test(intern, the_same_bytes_have_the_same_id_for_any_kind)
{
	uint32_t id;

	attach(&small);
	id = stage("/decode");
	cr_assert_eq(stage("/decode"), id);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/decode", WHOLE), id);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_LABEL, "/decodeXX", 7), id);
	cr_assert_eq(entries(), 5);
}

Test(intern, different_bytes_have_different_ids)
{
	static const char *const names[] = { "/a", "/b", "/a/", "/a/b", "a", "/A", "/a,/b" };
	uint32_t ids[7];

	attach(&small);
	for (int i = 0; i < 7; i++) {
		ids[i] = stage(names[i]);
		cr_assert_gt(ids[i], RPCPROF_TAG_UNKNOWN_METHOD);
		for (int k = 0; k < i; k++)
			cr_assert_neq(ids[i], ids[k], "%s and %s", names[i], names[k]);
	}
}

Test(intern, nothing_and_the_empty_name_have_none)
{
	attach(&small);
	cr_assert_eq(stage(NULL), 0);
	cr_assert_eq(stage(""), 0);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/decode", 0), 0);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_STAGE, NULL, 5), 0);
	cr_assert_eq(rpcprof_tag_intern((enum rpcprof_tag_kind)3, "/decode", WHOLE), 0);
	cr_assert_eq(rpcprof_tag_find(NULL, WHOLE), 0);
	cr_assert_eq(rpcprof_tag_find("", WHOLE), 0);
	cr_assert_eq(entries(), 4);
}

Test(intern, ids_count_up_within_their_kind)
{
	uint32_t first;

	attach(&small);
	first = numbered(RPCPROF_TAG_METHOD, "/m/%lu", 0);
	numbered(RPCPROF_TAG_LABEL, "l%lu", 0);
	cr_assert_eq(numbered(RPCPROF_TAG_METHOD, "/m/%lu", 1), first + 1);
	cr_assert_leq(first + 1, small.entries);
}

Test(intern, only_as_many_bytes_as_given_are_read)
{
	char *name = malloc(3); /* the sanitizer guards its end */

	memcpy(name, "/ab", 3);
	attach(&small);
	cr_assert_str_eq(rpcprof_tag_name(rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, 3), NULL),
	                 "/ab");
	free(name);
}

Test(find, knows_what_was_interned_and_adds_nothing)
{
	uint32_t id;

	attach(&small);
	cr_assert_eq(rpcprof_tag_find("/decode", WHOLE), 0);
	cr_assert_eq(entries(), 4);
	id = stage("/decode");
	cr_assert_eq(rpcprof_tag_find("/decode", WHOLE), id);
	cr_assert_eq(rpcprof_tag_find("/decode+", 7), id);
	cr_assert_eq(rpcprof_tag_find("/decod", WHOLE), 0);
	cr_assert_eq(rpcprof_tag_find("client", WHOLE), RPCPROF_TAG_CLIENT);
}

/* ---- names ---- */

Test(names, are_kept_verbatim)
{
	static const char *const names[] = {
		"/grpc/stream/recv/header,/http2", ",", "/", "//,,//", "a b\tc\n",
		"\x01\x7f\x80\xff\xfe", "<script>\"'&", "12345678", "1234567", "123456789",
	};
	size_t bytes;

	attach(&small);
	for (int i = 0; i < 10; i++) {
		uint32_t id = stage(names[i]);

		cr_assert_str_eq(rpcprof_tag_name(id, &bytes), names[i]);
		cr_assert_eq(bytes, strlen(names[i]));
	}
}

Test(names, end_at_a_nul)
{
	size_t bytes;
	uint32_t id;

	attach(&small);
	id = rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/a\0b", 4);
	cr_assert_eq(id, stage("/a"));
	rpcprof_tag_name(id, &bytes);
	cr_assert_eq(bytes, 2);
}

Test(names, over_the_limit_are_cut_and_counted_once)
{
	struct rpcprof_tag_totals totals;
	char name[3001];
	size_t bytes;
	uint32_t id;

	attach(&usual);
	memset(name, 'x', sizeof(name) - 1);
	name[3000] = '\0';
	id = rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, 1024);
	cr_assert_gt(id, RPCPROF_TAG_UNKNOWN_METHOD);
	rpcprof_tags_totals(&totals);
	cr_assert_eq(totals.cut, 0);
	name[0] = 'y';
	id = rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, WHOLE);
	cr_assert_eq(strlen(rpcprof_tag_name(id, &bytes)), 1024);
	cr_assert_eq(bytes, 1024);
	cr_assert_eq(memcmp(rpcprof_tag_name(id, NULL), name, 1024), 0);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, 2000), id);
	rpcprof_tags_totals(&totals);
	cr_assert_eq(totals.cut, 1);
}

Test(names, of_ids_never_given_are_empty)
{
	static const uint32_t never[] = { 5, 20, 21, 33, 40, 41, 42, 4096, 1u << 31, UINT32_MAX };
	size_t bytes = 9;

	attach(&small);
	for (int i = 0; i < 10; i++) {
		cr_assert_str_eq(rpcprof_tag_name(never[i], &bytes), "");
		cr_assert_eq(bytes, 0);
	}
}

Test(names, are_terminated_up_to_the_last_word_of_the_table)
{
	char name[20];
	uint32_t id, last = 0;

	attach(&small);
	/* labels are the last range */
	for (unsigned int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "%08u%08u", i, i);
		id = rpcprof_tag_intern(RPCPROF_TAG_LABEL, name, WHOLE);
		last = id > last ? id : last;
		cr_assert_str_eq(rpcprof_tag_name(id, NULL), name);
	}
	cr_assert_eq(last, small.entries);
	cr_assert_eq(strlen(rpcprof_tag_name(last, NULL)), 16);
}

/* ---- budgets ---- */

static void fill(enum rpcprof_tag_kind kind, unsigned long room)
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

Test(budget, of_stages_is_what_the_others_leave)
{
	attach(&small);
	fill(RPCPROF_TAG_STAGE, 20 - 4);
	cr_assert_gt(numbered(RPCPROF_TAG_METHOD, "/m/%lu", 1), RPCPROF_TAG_UNKNOWN_METHOD);
	cr_assert_gt(numbered(RPCPROF_TAG_LABEL, "/l/%lu", 1), RPCPROF_TAG_UNKNOWN_METHOD);
}

Test(budget, of_methods_is_their_own)
{
	attach(&small);
	fill(RPCPROF_TAG_METHOD, 12);
	cr_assert_gt(stage("/decode"), RPCPROF_TAG_UNKNOWN_METHOD);
	cr_assert_gt(numbered(RPCPROF_TAG_LABEL, "/l/%lu", 1), RPCPROF_TAG_UNKNOWN_METHOD);
}

Test(budget, of_labels_is_their_own)
{
	attach(&small);
	fill(RPCPROF_TAG_LABEL, 8);
	cr_assert_gt(stage("/decode"), RPCPROF_TAG_UNKNOWN_METHOD);
	cr_assert_gt(numbered(RPCPROF_TAG_METHOD, "/m/%lu", 1), RPCPROF_TAG_UNKNOWN_METHOD);
}

Test(budget, of_bytes_is_each_kinds_own_too)
{
	char name[1025];

	attach(&small); /* methods: 12 entries, 768 bytes */
	memset(name, 'm', 1024);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, 760), RPCPROF_TAG_OTHER);
	cr_assert_gt(rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, 759), RPCPROF_TAG_OTHER);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/m", WHOLE), RPCPROF_TAG_OTHER);
	cr_assert_eq(overflow(RPCPROF_TAG_METHOD), 2);
	fill(RPCPROF_TAG_STAGE, 16);
	fill(RPCPROF_TAG_LABEL, 8);
}

Test(budget, is_not_crowded_out_by_100000_made_up_methods)
{
	struct rpcprof_tag_totals totals;
	uint32_t real;

	attach(&usual);
	real = rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/real.Service/Method", WHOLE);
	for (unsigned long i = 0; i < 100000; i++)
		numbered(RPCPROF_TAG_METHOD, "/made.Up%lu/Method", i * 2654435761u % 4294967291u);
	cr_assert_eq(rpcprof_tag_find("/real.Service/Method", WHOLE), real);
	cr_assert_str_eq(rpcprof_tag_name(real, NULL), "/real.Service/Method");
	rpcprof_tags_totals(&totals);
	cr_assert_eq(totals.entries, 4 + 1024);
	cr_assert_eq(totals.overflow[RPCPROF_TAG_METHOD], 100000 - 1023);
	for (unsigned long i = 0; i < 2048 - 4; i++)
		cr_assert_gt(numbered(RPCPROF_TAG_STAGE, "/stage/%lu", i), RPCPROF_TAG_OTHER);
	for (unsigned long i = 0; i < 1024; i++)
		cr_assert_gt(numbered(RPCPROF_TAG_LABEL, "label%lu", i), RPCPROF_TAG_OTHER);
	rpcprof_tags_totals(&totals);
	cr_assert_eq(totals.entries, 4096);
	cr_assert_eq(totals.overflow[RPCPROF_TAG_STAGE], 0);
	cr_assert_eq(totals.overflow[RPCPROF_TAG_LABEL], 0);
}

Test(budget, that_cannot_hold_the_fixed_names_is_refused)
{
	static const struct rpcprof_tag_limits wrong[] = {
		{ 0, 4096, { 0, 0, 0 } },       { 3, 4096, { 0, 0, 0 } },
		{ 40, 2560, { 0, 20, 17 } },    { 40, 2560, { 0, 41, 0 } },
		{ 40, 2560, { 0, 0, UINT32_MAX } }, { 4, 56, { 0, 0, 0 } },
		{ (1u << 24) + 1, 1u << 30, { 0, 0, 0 } },
	};
	static const struct rpcprof_tag_limits least = { 4, 64, { 0, 0, 0 } };

	for (int i = 0; i < 7; i++)
		cr_assert_eq(rpcprof_tags_bytes(&wrong[i]), 0, "limits %d", i);
	cr_assert_eq(rpcprof_tags_bytes(&least) % 128, 0);
	attach(&least);
	cr_assert_eq(stage("client"), RPCPROF_TAG_CLIENT);
	cr_assert_eq(stage("/decode"), RPCPROF_TAG_OTHER);
}

/* ---- call sites ---- */

Test(site, asks_the_table_once)
{
	uint64_t word = 0;
	uint32_t id;

	attach(&small);
	id = rpcprof_tag_cached(&word, RPCPROF_TAG_STAGE, "/decode");
	cr_assert_eq(word, rpcprof_control_page.head.tag_epoch << 32 | id);
	/* whatever the name: the word decides */
	cr_assert_eq(rpcprof_tag_cached(&word, RPCPROF_TAG_STAGE, "/other"), id);
	cr_assert_eq(entries(), 5);
}

Test(site, asks_again_when_the_table_is_another)
{
	attach(&small);
	stage("/first");
	decode_site();
	attach(&small);
	cr_assert_eq(rpcprof_tag_find("/decode", WHOLE), 0);
	cr_assert_str_eq(rpcprof_tag_name(decode_site(), NULL), "/decode");
	cr_assert_eq(decode_site(), 5);
}

Test(site, works_when_the_epoch_has_wrapped)
{
	rpcprof_control_page.head.tag_epoch = UINT32_MAX;
	attach(&small);
	cr_assert_eq(rpcprof_control_page.head.tag_epoch, 1);
	cr_assert_eq(decode_site(), rpcprof_tag_find("/decode", WHOLE));
}

Test(site, remembers_that_the_budget_was_full)
{
	uint64_t word = 0;

	attach(&small);
	fill(RPCPROF_TAG_STAGE, 16);
	cr_assert_eq(rpcprof_tag_cached(&word, RPCPROF_TAG_STAGE, "/x"), RPCPROF_TAG_OTHER);
	cr_assert_eq(rpcprof_tag_cached(&word, RPCPROF_TAG_STAGE, "/x"), RPCPROF_TAG_OTHER);
	cr_assert_eq(overflow(RPCPROF_TAG_STAGE), 3);
}

/* ---- the table in memory ---- */

Test(table, works_at_another_address)
{
	size_t bytes = rpcprof_tags_bytes(&small);
	char *first = attach(&small), *second = memory_for(&small);
	uint32_t decode = stage("/decode");
	uint32_t method = rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/p.S/M", WHOLE);
	const char *name;

	memcpy(second, first, bytes);
	memset(first, 0xee, bytes);
	rpcprof_tags_attach(second, &small);
	cr_assert_eq(stage("/decode"), decode);
	cr_assert_eq(rpcprof_tag_find("/p.S/M", WHOLE), method);
	name = rpcprof_tag_name(method, NULL);
	cr_assert(name > second && name < second + bytes);
	cr_assert_str_eq(name, "/p.S/M");
	cr_assert_eq(entries(), 6);
}

Test(table, helps_an_adder_that_fell_asleep_before_making_its_name_ready)
{
	struct rpcprof_tag_table parts;
	void *memory = attach(&small);
	uint32_t id = stage("/decode");

	parts.header = rpcprof_tag_table_lay_out(&parts, memory, &small);
	parts.entries[id] = 0;
	cr_assert_str_eq(rpcprof_tag_name(id, NULL), "");
	cr_assert_eq(rpcprof_tag_find("/decode", WHOLE), 0); /* it may not write */
	cr_assert_eq(stage("/decode"), id);
	cr_assert_str_eq(rpcprof_tag_name(id, NULL), "/decode");
}

Test(table, loses_no_more_than_its_reservation_when_an_adder_dies)
{
	struct rpcprof_tag_table parts;
	void *memory = attach(&small);

	parts.header = rpcprof_tag_table_lay_out(&parts, memory, &small);
	parts.header->kinds[RPCPROF_TAG_METHOD].used += RPCPROF_TAG_ONE_ENTRY + 3;
	fill(RPCPROF_TAG_METHOD, 11);
}

static uint64_t hash_of(uint64_t seed, const char *name)
{
	struct rpcprof_siphash state = rpcprof_siphash_begin(seed, ~seed);
	size_t bytes = strlen(name);

	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t word = 0;

		memcpy(&word, name + i, bytes - i < 8 ? bytes - i : 8);
		rpcprof_siphash_word(&state, word);
	}
	rpcprof_siphash_word(&state, bytes);
	return rpcprof_siphash_end(&state);
}

/* A bucket on b's path that has b's hash but a's record: what a collision of hashes looks like. */
static void collide(const char *a, const char *b)
{
	struct rpcprof_tag_table parts;
	uint32_t id, other;
	uint64_t hash;

	parts.header = rpcprof_tag_table_lay_out(&parts, attach(&small), &small);
	id = stage(a);
	hash = hash_of(parts.header->seed, b);
	parts.buckets[hash & parts.bucket_mask] = hash >> 32 << 32 | parts.entries[id];
	other = stage(b);
	cr_assert_neq(other, id);
	cr_assert_str_eq(rpcprof_tag_name(other, NULL), b);
}

Test(table, compares_bytes_where_hashes_are_the_same)
{
	collide("/stage/number/1", "/stage/number/2");
	collide("1/stage", "2/stage");
}

Test(table, compares_lengths_where_hashes_are_the_same)
{
	collide("/stage", "/stage/");
	collide("/stage/1/2/3", "/stage/1");
}

/* Names that all start in bucket 0, as if the key were known to the enemy. */
Test(table, bounds_a_flood_into_one_bucket)
{
	struct rpcprof_tag_table parts;
	void *memory = attach(&usual);
	unsigned int given = 0, flood = 0;
	char name[32];

	parts.header = rpcprof_tag_table_lay_out(&parts, memory, &usual);
	for (unsigned int i = 0; flood < 300; i++) {
		snprintf(name, sizeof(name), "/flood/%u", i);
		if ((hash_of(parts.header->seed, name) & parts.bucket_mask) != 0)
			continue;
		flood++;
		given += rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, WHOLE) != RPCPROF_TAG_OTHER;
	}
	cr_assert_leq(given, 128);
	cr_assert_geq(given, 120); /* the fixed names may lie on the path */
	cr_assert_eq(overflow(RPCPROF_TAG_METHOD), 300 - given);
	cr_assert_eq(entries(), 4 + given); /* what found no bucket took no room */
}

Test(table, has_a_key_of_its_own)
{
	struct rpcprof_tag_table parts;
	uint64_t first;

	parts.header = rpcprof_tag_table_lay_out(&parts, attach(&small), &small);
	first = parts.header->seed;
	parts.header = rpcprof_tag_table_lay_out(&parts, attach(&small), &small);
	cr_assert_neq(first, 0);
	cr_assert_neq(first, parts.header->seed);
}

/* SipHash-1-3 of the reference implementation: key 00 01 .. 0f, input 00 01 .. 0e. */
Test(siphash, agrees_with_its_reference)
{
	struct rpcprof_siphash state =
		rpcprof_siphash_begin(0x0706050403020100, 0x0f0e0d0c0b0a0908);

	rpcprof_siphash_word(&state, 0x0706050403020100);
	rpcprof_siphash_word(&state, 0x0f0e0d0c0b0a0908);
	cr_assert_eq(rpcprof_siphash_end(&state), 0xd320d86d2a519956);
}
