/* SPDX-License-Identifier: Apache-2.0 */
/* Tags: one id for one name, budgets that hold, names that are safe to read. */
#include <errno.h>

#include "tag_fixture.h"

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

/* ---- marks ---- */

Test(marks, come_with_names_of_waits)
{
	static const char *const waits[] = {"/queue", "/queue/io", "/recv/message", "/send/x",
	                                    "/http2,/queue", "/http2,/recv/header,/x", "/queue,/x"};
	static const char *const others[] = {"/queued", "/recv", "/recv/", "/send/,/x", "/x/recv/y",
	                                     "/x/queue", "queue"};

	attach(&usual);
	for (int i = 0; i < 7; i++) {
		cr_assert_eq(rpcprof_tag_marks(stage(waits[i])), RPCPROF_TAG_WAITS, "%s", waits[i]);
		cr_assert_eq(rpcprof_tag_marks(stage(others[i])), 0, "%s", others[i]);
	}
}

Test(marks, are_added_for_good)
{
	uint32_t id;

	attach(&small);
	id = stage("/disk");
	cr_assert_eq(rpcprof_tag_wait(id), 0);
	cr_assert_eq(rpcprof_tag_wait(id), 0);
	cr_assert_eq(rpcprof_tag_set_mark(id, RPCPROF_TAG_LOCKS), 0);
	cr_assert_eq(rpcprof_tag_marks(id), RPCPROF_TAG_WAITS | RPCPROF_TAG_LOCKS);
	cr_assert_eq(stage("/disk"), id);
	cr_assert_eq(rpcprof_tag_find("/disk", WHOLE), id);
	cr_assert_str_eq(rpcprof_tag_name(id, NULL), "/disk");
}

Test(marks, are_not_for_what_is_no_tag)
{
	cr_assert_eq(rpcprof_tag_wait(5), -EINVAL);
	attach(&small);
	cr_assert_eq(rpcprof_tag_wait(RPCPROF_TAG_NONE), -EINVAL);
	cr_assert_eq(rpcprof_tag_wait(RPCPROF_TAG_OTHER), -EINVAL);
	cr_assert_eq(rpcprof_tag_wait(5), -EINVAL);
	cr_assert_eq(rpcprof_tag_wait(UINT32_MAX), -EINVAL);
	cr_assert_eq(rpcprof_tag_marks(UINT32_MAX), 0);
}
