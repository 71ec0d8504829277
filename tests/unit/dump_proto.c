/* SPDX-License-Identifier: Apache-2.0 */
/* What a dump says as protocol buffers is what it says as JSON. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "export/dump_proto_internal.h"
#include "rpcprof/rpcprof.h"
#include "timers/clock_internal.h"

/* Time stands still, and a tick is a nanosecond: two dumps say the same. */
#define NOW ((uint64_t)7000000000)

static uint64_t now_ticks(void)
{
	return NOW;
}

static int64_t now_utc(void)
{
	return 1767323045123456789;
}

static int64_t now_monotonic(void)
{
	return 5000000000;
}

static const struct rpcprof_clock_source still = {now_ticks, now_utc, now_monotonic, 1000000000};

static char *text;
static size_t text_length;

static int64_t dump_as(enum rpcprof_dump_format format)
{
	struct rpcprof_dump_options options = {
		.size = sizeof(options),
		.format = format,
		.calls = RPCPROF_DUMP_FINISHED | RPCPROF_DUMP_IN_FLIGHT};
	int64_t count;
	FILE *out;

	free(text);
	out = open_memstream(&text, &text_length);
	count = rpcprof_dump(out, &options);
	fclose(out);
	return count;
}

static void record(const char *method)
{
	const uint64_t begin = NOW - 1000000;
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, begin);

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	rpcprof_stat_set_status(stat, -3);
	rpcprof_stat_set_connection(stat, UINT64_MAX / 2, UINT32_MAX);
	rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "tenant", 6),
	                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, "blue", 4));
	rpcprof_stat_set_trace(stat, (const uint8_t *)"0123456789abcdef",
	                       (const uint8_t *)"01234567");
	for (uint32_t i = 0; i < 60; i++) {
		struct rpcprof_detached_timer timer = {
			begin + 1000 * i - 500, i == 3 ? 0 : begin + 1500 * i,
			i % 2 != 0 ? RPCPROF_TAG("/odd") : RPCPROF_TAG("/even"), i % 5};

		rpcprof_stat_append(stat, &timer);
	}
	rpcprof_stat_end(stat);
}

static void start(void)
{
	rpcprof_clock_set_source(&still);
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

/* All messages as one: they are made to be put together so. Returns how many there were. */
static size_t join(const uint8_t *from, size_t length, uint8_t *to, size_t *joined)
{
	size_t messages = 0;

	*joined = 0;
	for (size_t at = 0; at < length; messages++) {
		size_t bytes = 0;

		for (unsigned shift = 0;; shift += 7) {
			bytes |= (size_t)(from[at] & 0x7f) << shift;
			if (from[at++] < 0x80)
				break;
		}
		cr_assert_leq(at + bytes, length);
		memcpy(to + *joined, from + at, bytes);
		*joined += bytes;
		at += bytes;
	}
	return messages;
}

static Rpcprof__V1__Dump *read_back(size_t *messages)
{
	uint8_t *bytes = malloc(text_length);
	Rpcprof__V1__Dump *dump;
	size_t length;

	*messages = join((const uint8_t *)text, text_length, bytes, &length);
	dump = rpcprof__v1__dump__unpack(NULL, length, bytes);
	cr_assert_not_null(dump);
	free(bytes);
	return dump;
}

Test(dump_proto, a_dump_of_nothing_is_a_header_and_an_end, .init = start)
{
	Rpcprof__V1__Dump *dump;
	size_t messages;

	cr_assert_eq(dump_as(RPCPROF_DUMP_PROTO), 0);
	dump = read_back(&messages);
	cr_assert_eq(messages, 2);
	cr_assert_not_null(dump->header);
	cr_assert_not_null(dump->end);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

Test(dump_proto, calls_read_back_are_what_they_were, .init = start)
{
	struct dump_stage stages[DUMP_STAGES_MAX];
	struct dump_header header;
	struct dump_call call;
	const char *error = "";
	json_t *document, *calls;
	Rpcprof__V1__Dump *dump;
	size_t messages;

	record("/a.B/C");
	record("/\xff evil\033[2J");
	record("");
	cr_assert_eq(dump_as(RPCPROF_DUMP_PROTO), 3);
	dump = read_back(&messages);
	cr_assert_eq(messages, 5);
	cr_assert_eq(dump->end->stats, 3);
	cr_assert_eq(dump_as(RPCPROF_DUMP_JSON), 3);
	document = json_loads(text, 0, NULL);
	calls = json_object_get(document, "calls");
	for (size_t i = 0; i < 3; i++) {
		json_t *again;

		cr_assert_eq(rpcprof_dump_read_stat(dump->stats[i], &call, stages, &error), 0, "%s",
		             error);
		again = rpcprof_dump_json_call(&call);
		cr_assert(json_equal(again, json_array_get(calls, i)), "%s\n%s",
		          json_dumps(again, 0), json_dumps(json_array_get(calls, i), 0));
		json_decref(again);
	}
	rpcprof_dump_read_header(dump->header, &header);
	cr_assert_eq(header.recorded, 3);
	cr_assert_eq(header.pid, json_integer_value(json_object_get(document, "pid")));
	json_decref(document);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

Test(dump_proto, what_no_call_can_be_is_refused)
{
	Rpcprof__V1__Stat stat = RPCPROF__V1__STAT__INIT;
	uint8_t bytes[33] = {0};
	struct dump_stage stages[DUMP_STAGES_MAX];
	struct dump_call call;
	const char *error = NULL;

	cr_assert_eq(rpcprof_dump_read_stat(&stat, &call, stages, &error), 0);
	stat.metadata.data = bytes;
	stat.metadata.len = 33;
	cr_assert_lt(rpcprof_dump_read_stat(&stat, &call, stages, &error), 0);
	stat.metadata.len = 0;
	stat.trace_id.data = bytes;
	stat.trace_id.len = 15;
	cr_assert_lt(rpcprof_dump_read_stat(&stat, &call, stages, &error), 0);
	stat.trace_id.len = 0;
	stat.n_timers = DUMP_STAGES_MAX + 1;
	cr_assert_lt(rpcprof_dump_read_stat(&stat, &call, stages, &error), 0);
	stat.n_timers = 0;
	stat.n_labels = RPCPROF_LABELS_MAX + 1;
	cr_assert_lt(rpcprof_dump_read_stat(&stat, &call, stages, &error), 0);
	cr_assert_not_null(error);
}
