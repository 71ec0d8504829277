/* SPDX-License-Identifier: Apache-2.0 */
/* The tag table in its memory: elsewhere, half done, flooded. */
#include "tag_fixture.h"

#include "timers/siphash_internal.h"

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

Test(table, of_impossible_limits_is_not_attached)
{
	static char memory[4096] __attribute__((aligned(128)));
	struct rpcprof_tag_limits limits = {.entries = 64, .bytes = 65536,
		.kind_entries = {[RPCPROF_TAG_METHOD] = 65}};

	cr_assert_eq(rpcprof_tags_bytes(&limits), 0);
	rpcprof_tags_attach(memory, &limits);
	limits = (struct rpcprof_tag_limits){.bytes = 65536};
	cr_assert_eq(rpcprof_tags_bytes(&limits), 0);
	limits = (struct rpcprof_tag_limits){.entries = 64, .bytes = UINT32_MAX};
	cr_assert_eq(rpcprof_tags_bytes(&limits), 0);
	cr_assert_eq(rpcprof_control_page.head.tag_epoch, 0);
	cr_assert_eq(rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/name", 5), 0);
}
