/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "export/dump_internal.h"
#include "rpcprof/rpcprof.h"
#include "timers/clock_internal.h"

/* Time stands still at this date, and a tick is a nanosecond: so every figure is exact. */
#define NOW_TICKS ((uint64_t)7000000000)
#define NOW_UTC_NS 1767323045123456789 /* 2026-01-02T03:04:05.123456789Z */

static uint64_t now_ticks(void)
{
	return NOW_TICKS;
}

static int64_t now_utc(void)
{
	return NOW_UTC_NS;
}

static int64_t now_monotonic(void)
{
	return 5000000000;
}

static const struct rpcprof_clock_source still = {.ticks = now_ticks,
                                                  .utc_ns = now_utc,
                                                  .monotonic_ns = now_monotonic,
                                                  .ticks_per_second = 1000000000};

static char *text;
static size_t text_length;

/* Calls rpcprof_dump() into `text`. */
static int64_t dump(const struct rpcprof_dump_options *options)
{
	FILE *out;
	int64_t count;

	free(text);
	text = NULL;
	out = open_memstream(&text, &text_length);
	count = rpcprof_dump(out, options);
	fclose(out);
	return count;
}

static int64_t dump_as(enum rpcprof_dump_format format, uint32_t calls)
{
	struct rpcprof_dump_options options = {
		.size = sizeof(options), .format = format, .calls = calls};

	return dump(&options);
}

static bool shows(const char *part)
{
	return strstr(text, part) != NULL;
}

static void start_with(const struct rpcprof_config *config)
{
	rpcprof_clock_set_source(&still);
	cr_assert_eq(rpcprof_init(config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static void start(void)
{
	start_with(NULL);
}

static uint64_t after(uint64_t tick, int us)
{
	return tick + (uint64_t)((int64_t)us * 1000);
}

static void append(struct rpcprof_stat stat, uint32_t tag, uint64_t begin, uint64_t end,
                   uint32_t thread)
{
	struct rpcprof_detached_timer timer = {begin, end, tag, thread};

	rpcprof_stat_append(stat, &timer);
}

static uint32_t intern(enum rpcprof_tag_kind kind, const char *name)
{
	return rpcprof_tag_intern(kind, name, (size_t)-1);
}

/* A call of 1 ms: /outer 100..900 us, in it /inner 200..400 us; /side on another thread. */
static void record(const char *method)
{
	uint64_t begin = after(NOW_TICKS, -2000);
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, begin);

	rpcprof_stat_set_method(stat, intern(RPCPROF_TAG_METHOD, method));
	rpcprof_stat_set_status(stat, 14);
	rpcprof_stat_set_connection(stat, 0xabc, 9);
	rpcprof_stat_set_label(stat, intern(RPCPROF_TAG_LABEL, "tenant"),
	                       intern(RPCPROF_TAG_LABEL, "blue"));
	rpcprof_stat_set_trace(stat, (const uint8_t *)"0123456789abcdef",
	                       (const uint8_t *)"01234567");
	append(stat, RPCPROF_TAG("/outer"), after(begin, 100), after(begin, 900), 1);
	append(stat, RPCPROF_TAG("/inner"), after(begin, 200), after(begin, 400), 1);
	append(stat, RPCPROF_TAG("/side"), after(begin, 300), after(begin, 500), 2);
	rpcprof_stat_end_at(stat, after(begin, 1000));
}

Test(dump, before_init_there_is_nothing_to_dump)
{
	cr_assert_eq(dump(NULL), -ENODEV);
	cr_assert_eq(text_length, 0);
}

Test(dump, options_out_of_range_are_refused_and_nothing_is_written, .init = start)
{
	struct rpcprof_dump_options good = {.size = sizeof(good)}, bad = good;

	bad.size = 1;
	cr_assert_eq(dump(&bad), -EINVAL);
	bad = good;
	bad.format = 4;
	cr_assert_eq(dump(&bad), -EINVAL);
	bad = good;
	bad.colour = 3;
	cr_assert_eq(dump(&bad), -EINVAL);
	bad = good;
	bad.calls = 4;
	cr_assert_eq(dump(&bad), -EINVAL);
	bad = good;
	bad.filter.size = 1;
	cr_assert_eq(dump(&bad), -EINVAL);
	cr_assert_eq(text_length, 0);
	cr_assert_eq(dump(&good), 0);
}

Test(dump, a_table_shows_the_call_and_its_stages_nested, .init = start)
{
	record("/a.B/C");
	cr_assert_eq(dump(NULL), 1);
	cr_assert(shows("\n2026-01-02T03:04:05.121456789Z  server      1.000 ms  UNAVAILABLE       "
	                "/a.B/C  conn 2748 stream 9  trace 30313233343536373839616263646566  "
	                "tenant=blue\n"),
	          "%s", text);
	cr_assert(shows("\n    /outer "), "%s", text);
	cr_assert(shows("\n      /inner "), "%s", text);
	cr_assert(shows("\n    /side "), "%s", text); /* contained, but on another thread */
	cr_assert(shows("200.000 us   20.0 %  |    ####"), "%s", text);
	cr_assert(shows("dates within"), "%s", text);
}

Test(dump, a_table_of_nothing_says_why, .init = start)
{
	cr_assert_eq(dump(NULL), 0);
	cr_assert(shows("No calls to show: none that match"), "%s", text);
	rpcprof_enable(false);
	cr_assert_eq(dump(NULL), 0);
	cr_assert(shows("No calls to show: recording is switched off"), "%s", text);
}

Test(dump, a_table_says_what_was_left_out)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 10};
	struct rpcprof_dump_options options = {
		.size = sizeof(options), .filter.size = sizeof(options.filter), .filter.last = 4};

	start_with(&config);
	for (int i = 0; i < 5000; i++)
		record("/a.B/C");
	cr_assert_eq(dump(&options), 4);
	cr_assert(shows("5000 calls recorded; no longer here: "), "%s", text);
	cr_assert_not(shows("no longer here: 0 displaced"), "%s", text);
	cr_assert(shows("\n4 calls, "), "%s", text);
}

Test(dump, an_open_stage_is_shown_open, .init = start)
{
	uint64_t begin = after(NOW_TICKS, -2000);
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_CLIENT, begin);

	append(stat, RPCPROF_TAG("/wait"), after(begin, 250), 0, 1);
	rpcprof_stat_end_at(stat, after(begin, 1000));
	cr_assert_eq(dump(NULL), 1);
	cr_assert(shows("750.000 us   75.0 %  |      #################>|  open"), "%s", text);
	cr_assert(shows("(no method)"), "%s", text);
}

Test(dump, folded_stages_are_summed_up, .init = start)
{
	uint64_t begin = after(NOW_TICKS, -2000);
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, begin);
	struct rpcprof_counters counters;
	char expected[64];

	for (int i = 0; i < 100; i++)
		append(stat, RPCPROF_TAG("/message"), after(begin, i), after(begin, i + 1), 1);
	rpcprof_stat_end_at(stat, after(begin, 1000));
	rpcprof_counters_get(&counters);
	cr_assert_gt(counters.folded, 0);
	cr_assert_eq(dump(NULL), 1);
	snprintf(expected, sizeof(expected), "%d more, folded; the longest 1.000 us",
	         (int)counters.folded);
	cr_assert(shows(expected), "%s", text);
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, 0), 1);
	snprintf(expected, sizeof(expected), "\"folded\":[{\"tag\":\"/message\",\"count\":%d,",
	         (int)counters.folded);
	cr_assert(shows(expected), "%s", text);
}

Test(dump, names_cannot_act_on_the_terminal, .init = start)
{
	record("/evil\033[2J\r\n\x7f\xff\xc2\x9b"
	       "31m\xe2\x80\xae.Svc\\M");
	cr_assert_eq(dump(NULL), 1);
	cr_assert(shows("/evil\\x1b[2J\\x0d\\x0a\\x7f\\xff\\u009b31m\\u202e.Svc\\\\M  conn"), "%s",
	          text);
	cr_assert_not(shows("\033"));
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, 0), 1);
	cr_assert(shows("/evil\\u001B[2J\\r\\n"), "%s", text);
	cr_assert(shows("\\uFFFD"), "%s", text);
}

Test(dump, colours_are_for_terminals_or_on_request, .init = start)
{
	struct rpcprof_dump_options options = {.size = sizeof(options)};

	record("/a.B/C");
	cr_assert_eq(dump(&options), 1);
	cr_assert_not(shows("\033["));
	options.colour = RPCPROF_DUMP_COLOUR_ALWAYS;
	cr_assert_eq(dump(&options), 1);
	cr_assert(shows("\033[31mUNAVAILABLE"), "%s", text);
	options.colour = RPCPROF_DUMP_COLOUR_NEVER;
	cr_assert_eq(dump(&options), 1);
	cr_assert_not(shows("\033["));
}

Test(dump, a_json_document_holds_all_of_a_call, .init = start)
{
	json_t *document, *call, *stage;

	record("/a.B/C");
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, 0), 1);
	document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_str_eq(json_string_value(json_object_get(document, "format")), "rpcprof-dump");
	cr_assert_eq(json_integer_value(json_object_get(document, "version")), 1);
	cr_assert_eq(json_array_size(json_object_get(document, "calls")), 1);
	call = json_array_get(json_object_get(document, "calls"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(call, "method")), "/a.B/C");
	cr_assert_str_eq(json_string_value(json_object_get(call, "status_name")), "UNAVAILABLE");
	cr_assert_str_eq(json_string_value(json_object_get(call, "metadata")),
	                 "0000000000000abc00000009");
	cr_assert_str_eq(json_string_value(json_object_get(call, "trace_id")),
	                 "30313233343536373839616263646566");
	cr_assert_eq(json_array_size(json_object_get(call, "stages")), 3);
	stage = json_array_get(json_object_get(call, "stages"), 1);
	cr_assert_str_eq(json_string_value(json_object_get(stage, "tag")), "/inner");
	cr_assert_eq(json_integer_value(json_object_get(stage, "offset_ns")), 200000);
	cr_assert_eq(json_integer_value(json_object_get(stage, "duration_ns")), 200000);
	cr_assert_eq(json_integer_value(json_object_get(call, "duration_ns")), 1000000);
	cr_assert_eq(json_integer_value(json_object_get(call, "begin_utc_ns")),
	             NOW_UTC_NS - 2000000);
	json_decref(document);
}

Test(dump, an_empty_json_document_is_one, .init = start)
{
	json_t *document;

	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, 0), 0);
	document = json_loads(text, 0, NULL);
	cr_assert_not_null(document);
	cr_assert_eq(json_array_size(json_object_get(document, "calls")), 0);
	json_decref(document);
}

Test(dump, json_lines_are_a_header_calls_and_an_end, .init = start)
{
	const char *kinds[] = {"dump", "call", "call", "end"};
	char *line, *rest;
	size_t count = 0;

	record("/a.B/C");
	record("/a.B/D");
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON_LINES, 0), 2);
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		json_t *object = json_loads(line, 0, NULL);

		cr_assert_lt(count, 4);
		cr_assert_not_null(json_object_get(object, kinds[count++]));
		json_decref(object);
	}
	cr_assert_eq(count, 4);
}

Test(dump, calls_in_flight_show_their_age_and_open_stage, .init = start)
{
	uint64_t begin = after(NOW_TICKS, -5000);
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_CLIENT, begin);

	append(stat, RPCPROF_TAG("/wait"), after(begin, 1000), 0, 1);
	cr_assert_eq(dump_as(RPCPROF_DUMP_TABLE, RPCPROF_DUMP_FINISHED), 0);
	cr_assert_eq(dump_as(RPCPROF_DUMP_TABLE, RPCPROF_DUMP_IN_FLIGHT), 1);
	cr_assert(shows("(in flight)"), "%s", text);
	cr_assert(shows("  in /wait\n"), "%s", text);
	record("/a.B/C");
	cr_assert_eq(dump_as(RPCPROF_DUMP_TABLE, RPCPROF_DUMP_IN_FLIGHT), 1);
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, RPCPROF_DUMP_FINISHED | RPCPROF_DUMP_IN_FLIGHT), 2);
	cr_assert(shows("\"age_ns\":"), "%s", text);
	cr_assert(shows("\"open_stage\":\"/wait\""), "%s", text);
	rpcprof_stat_end(stat);
}

Test(dump, a_filter_chooses, .init = start)
{
	struct rpcprof_dump_options options = {.size = sizeof(options),
	                                       .filter.size = sizeof(options.filter)};

	record("/a.B/C");
	record("/a.B/D");
	options.filter.method = intern(RPCPROF_TAG_METHOD, "/a.B/D");
	cr_assert_eq(dump(&options), 1);
	cr_assert(shows("/a.B/D"));
	cr_assert_not(shows("/a.B/C"));
}

Test(dump, dumping_takes_nothing_away, .init = start)
{
	record("/a.B/C");
	cr_assert_eq(dump(NULL), 1);
	cr_assert_eq(dump(NULL), 1);
}

Test(dump, a_full_disk_is_reported, .init = start)
{
	FILE *full = fopen("/dev/full", "w");

	record("/a.B/C");
	cr_assert_eq(rpcprof_dump(full, NULL), -ENOSPC);
	fclose(full);
}

Test(dump, parsing_gives_back_what_was_written, .init = start)
{
	struct dump_stage stages[DUMP_STAGES_MAX];
	struct dump_call call;
	const char *error = NULL;
	json_t *document, *object, *again;

	record("/a.B/C");
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, 0), 1);
	document = json_loads(text, 0, NULL);
	object = json_array_get(json_object_get(document, "calls"), 0);
	cr_assert_eq(rpcprof_dump_parse_call(object, &call, stages, &error), 0, "%s", error);
	again = rpcprof_dump_json_call(&call);
	cr_assert(json_equal(object, again));
	json_decref(again);
	json_decref(document);
}

Test(dump, stages_that_touch_do_not_overlap_by_rounding, .init = start)
{
	uint64_t begin = after(NOW_TICKS, -2000), tick = begin;
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, begin);
	json_t *document, *stages;
	int64_t end = 0;

	for (int i = 0; i < 15; i++, tick += 1234)
		append(stat, RPCPROF_TAG("/step"), tick, tick + 1234, 1);
	rpcprof_stat_end_at(stat, tick);
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON, 0), 1);
	document = json_loads(text, 0, NULL);
	stages = json_object_get(json_array_get(json_object_get(document, "calls"), 0), "stages");
	cr_assert_eq(json_array_size(stages), 15);
	for (size_t i = 0; i < 15; i++) {
		json_t *stage = json_array_get(stages, i);

		cr_assert_eq(json_integer_value(json_object_get(stage, "offset_ns")), end);
		end += json_integer_value(json_object_get(stage, "duration_ns"));
	}
	json_decref(document);
}

Test(dump, a_stage_lies_in_the_latest_one_that_contains_it)
{
	struct dump_stage stages[] = {
		{"d", 20, 100, 1, 0, false}, /* outlasts a */
		{"c", 12, 5, 1, 0, false},   {"b", 10, 20, 1, 0, false},
		{"a", 0, 100, 1, 0, false},  {"other thread", 13, 1, 2, 0, false},
	};
	static const struct {
		const char *tag;
		uint32_t depth;
	} expected[] = {{"a", 0}, {"b", 1}, {"c", 2}, {"other thread", 0}, {"d", 0}};

	rpcprof_dump_nest(stages, 5);
	for (int i = 0; i < 5; i++) {
		cr_assert_str_eq(stages[i].tag, expected[i].tag);
		cr_assert_eq(stages[i].depth, expected[i].depth, "%s", stages[i].tag);
	}
}

Test(dump, durations_and_dates_are_for_people)
{
	char duration[DUMP_DURATION_CHARS], date[40];

	rpcprof_dump_format_duration(duration, 999);
	cr_assert_str_eq(duration, "999 ns");
	rpcprof_dump_format_duration(duration, 1000);
	cr_assert_str_eq(duration, "1.000 us");
	rpcprof_dump_format_duration(duration, 12345678);
	cr_assert_str_eq(duration, "12.346 ms");
	rpcprof_dump_format_duration(duration, UINT64_MAX);
	cr_assert_str_eq(duration, "18446744073.710 s");
	rpcprof_dump_format_date(date, 1767323045123456789);
	cr_assert_str_eq(date, "2026-01-02T03:04:05.123456789Z");
	rpcprof_dump_format_date(date, -1);
	cr_assert_str_eq(date, "1969-12-31T23:59:59.999999999Z");
}
