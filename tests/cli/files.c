/* SPDX-License-Identifier: Apache-2.0 */
/* files DIR: writes there the profiles and dumps that the tests of the command read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/pprof_internal.h"
#include "rpcprof/dump.h"
#include "rpcprof/export.h"
#include "rpcprof/rpcprof.h"
#include "rpcprof/waits.h"
#include "timers/clock_internal.h"

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "files: %s\n", what);
	exit(1);
}

static FILE *create(const char *name)
{
	FILE *file = fopen(name, "w");

	must(file != NULL, name);
	return file;
}

static void write_bytes(const char *name, const void *bytes, size_t length)
{
	FILE *file = create(name);

	must(fwrite(bytes, 1, length, file) == length && fclose(file) == 0, name);
}

/* ---- profiles ---- */

static const struct rpcprof_pprof_type call_types[] = {
	{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};

/* Names that pprof would cut if it took them for C++, Go or Java. */
static const char *const methods[] = {"/shop.Cart/Get", "/shop.Cart/Put<T>(int)",
                                      "/shop::v2.Cart/List"};

static void add(struct rpcprof_pprof *pprof, const char *side, const char *method,
                const char *stage, const int64_t values[3])
{
	struct rpcprof_pprof_label labels[2] = {
		{.key = rpcprof_pprof_string(pprof, "side"),
	         .str = rpcprof_pprof_string(pprof, side)},
		{.key = rpcprof_pprof_string(pprof, "tenant"),
	         .str = rpcprof_pprof_string(pprof, "blue")},
	};
	uint64_t stack[3];
	size_t depth = 0;

	if (stage != NULL)
		stack[depth++] = (uint64_t)rpcprof_pprof_location(pprof, stage, method);
	stack[depth++] = (uint64_t)rpcprof_pprof_location(pprof, method, method);
	stack[depth++] = (uint64_t)rpcprof_pprof_location(pprof, side, "");
	must(rpcprof_pprof_add(pprof, stack, depth, values, labels, 2) == 0, "add");
}

/* Each call of method i takes (i + 1) * us microseconds, of which a fourth is /decode. */
static void write_calls(const char *name, int64_t calls, int64_t us)
{
	const char *comment = "0 calls unaggregated";
	struct rpcprof_pprof_info info = {.types = call_types,
	                                  .type_count = 3,
	                                  .period_type = {"wall", "nanoseconds"},
	                                  .period = 1,
	                                  .time_ns = 1767323045000000000,
	                                  .duration_ns = 10000000000,
	                                  .mapping_file = "/usr/bin/shop",
	                                  .comments = &comment,
	                                  .comment_count = 1};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&info);
	uint8_t *bytes;
	size_t length;

	must(pprof != NULL, "open");
	for (int64_t i = 0; i < 3; i++) {
		int64_t quarter = (i + 1) * us * 250 * calls;

		add(pprof, "server", methods[i], NULL, (int64_t[]){calls, 0, 3 * quarter});
		add(pprof, "server", methods[i], "/decode", (int64_t[]){0, 2 * calls, quarter});
	}
	must(rpcprof_pprof_encode(pprof, &bytes, &length) == 0, "encode");
	write_bytes(name, bytes, length);
	free(bytes);
	rpcprof_pprof_close(pprof);
}

/* A profile as other programs write them. */
static void write_other(const char *name)
{
	static const struct rpcprof_pprof_type types[] = {{"samples", "count"},
	                                                  {"cpu", "nanoseconds"}};
	struct rpcprof_pprof_info info = {
		.types = types, .type_count = 2, .period_type = {"cpu", "nanoseconds"}, .period = 1};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&info);
	uint64_t stack[3];
	uint8_t *bytes;
	size_t length;

	must(pprof != NULL, "open");
	stack[0] = (uint64_t)rpcprof_pprof_location(pprof, "leaf", "a.c");
	stack[1] = stack[2] = (uint64_t)rpcprof_pprof_location(pprof, "main", "a.c");
	must(rpcprof_pprof_add(pprof, stack, 3, (int64_t[]){3, 3000}, NULL, 0) == 0, "add");
	must(rpcprof_pprof_add(pprof, stack + 1, 1, (int64_t[]){1, 1000}, NULL, 0) == 0, "add");
	must(rpcprof_pprof_encode(pprof, &bytes, &length) == 0, "encode");
	write_bytes(name, bytes, length);
	free(bytes);
	rpcprof_pprof_close(pprof);
}

/* ---- dumps, on a clock that stands still ---- */

#define NOW ((uint64_t)7000000000)

static uint64_t now_ticks(void)
{
	return NOW;
}

static int64_t now_utc(void)
{
	return 1767323045123456789; /* 2026-01-02T03:04:05.123456789Z */
}

static int64_t now_monotonic(void)
{
	return 5000000000;
}

static void record(const char *method, uint64_t us, int32_t status)
{
	uint64_t begin = NOW - 1000000000;
	struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, begin);
	struct rpcprof_detached_timer timer = {begin, begin + us * 500, RPCPROF_TAG("/decode"), 1};

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	rpcprof_stat_set_status(stat, status);
	rpcprof_stat_append(stat, &timer);
	rpcprof_stat_end_at(stat, begin + us * 1000);
}

static void write_dump(const char *name, enum rpcprof_dump_format format)
{
	struct rpcprof_dump_options options = {.size = sizeof(options),
	                                       .format = format,
	                                       .calls = RPCPROF_DUMP_FINISHED |
	                                                RPCPROF_DUMP_IN_FLIGHT};
	FILE *file = create(name);

	must(rpcprof_dump(file, &options) == 101 && fclose(file) == 0, name);
}

static void write_dumps(void)
{
	static const struct rpcprof_clock_source still = {
		.ticks = now_ticks, .utc_ns = now_utc, .monotonic_ns = now_monotonic};
	struct rpcprof_stat open;

	rpcprof_clock_set_source(&still);
	must(rpcprof_init(NULL) == 0 && rpcprof_enable(true) == 0, "init");
	for (uint64_t i = 1; i <= 99; i++)
		record("/shop.Cart/Get", i, 0);
	record("/shop.Cart/Put", 500, 14);
	open = rpcprof_stat_begin_at(RPCPROF_TAG_CLIENT, NOW - 2000000);
	write_dump("calls.json", RPCPROF_DUMP_JSON);
	write_dump("calls.jsonl", RPCPROF_DUMP_JSON_LINES);
	write_dump("calls.txt", RPCPROF_DUMP_TABLE);
	rpcprof_stat_end(open);
}

/* ---- what is drawn: overlapping stages, both sides of a call, names with ill intent ---- */

#define BEGIN (NOW - 1000000000)

static const char *const hostile[] = {"/</script><script>alert(1)</script>", "/\033[2J\n\"quotes'&<b>;",
                                      "/bad\xff\xfeUTF-8", "/plain.Service/Method"};

/* A stage from..to microseconds after the call's begin. */
static void stage(struct rpcprof_stat stat, uint64_t begin, const char *tag, uint64_t from,
                  uint64_t to, uint32_t thread)
{
	struct rpcprof_detached_timer timer = {
		begin + from * 1000, begin + to * 1000,
		rpcprof_tag_intern(RPCPROF_TAG_STAGE, tag, (size_t)-1), thread};

	rpcprof_stat_append(stat, &timer);
}

static struct rpcprof_stat begin_call(uint32_t side, const char *method, uint64_t begin,
                                      uint8_t number)
{
	struct rpcprof_stat stat = rpcprof_stat_begin_at(side, begin);
	uint8_t trace[16] = {1, number}, span[8] = {2, number};

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	rpcprof_stat_set_trace(stat, trace, span);
	rpcprof_stat_set_status(stat, number % 5 == 0 ? 4 : 0);
	return stat;
}

/* The server's call lies within the client's; its stages overlap, nest, and lie on two threads. */
static void record_pair(uint8_t number)
{
	uint64_t begin = BEGIN + number * UINT64_C(150000);
	const char *method = hostile[number % 4];
	struct rpcprof_stat client = begin_call(RPCPROF_TAG_CLIENT, method, begin, number);
	struct rpcprof_stat server =
		begin_call(RPCPROF_TAG_SERVER, method, begin + 20000, number);

	stage(client, begin, "/encode", 0, 5, 1);
	stage(client, begin, "/recv/message", 10, 190, 1);
	stage(client, begin, "/recv/header", 10, 100, 1);
	stage(server, begin + 20000, "/recv/message", 0, 40, 2);
	stage(server, begin + 20000, "/decode", 30, 60, 2);
	stage(server, begin + 20000, hostile[(number + 1) % 4], 50, 120, 3);
	stage(server, begin + 20000, "/handler", 60, 130, 2);
	stage(server, begin + 20000, "/encode", 100, 110, 2);
	for (int i = 0; i < 40; i++)
		stage(server, begin + 20000, "/send/message", 120, 121, 3);
	rpcprof_stat_end_at(server, begin + 160000);
	rpcprof_stat_end_at(client, begin + 200000);
}

static int forget(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

static void write_all(const char *name)
{
	struct rpcprof_dump_options options = {.size = sizeof(options),
	                                       .format = RPCPROF_DUMP_JSON_LINES};
	FILE *file = create(name);

	must(rpcprof_dump(file, &options) >= 0 && fclose(file) == 0, name);
}

static void write_drawn(void)
{
	must(rpcprof_drain(forget, NULL) == 101, "drain");
	write_all("none.jsonl");
	for (uint8_t i = 0; i < 50; i++)
		record_pair(i);
	write_all("pairs.jsonl");
	must(rpcprof_profile_write("pairs.pb.gz") == 0, "pairs.pb.gz");
}

/* ---- waits: 10 000 in a queue of 10 us each, 500 for a lock of 3 us each, 100 of no call ---- */

static void record_waits(void)
{
	uint64_t begin = BEGIN;
	struct rpcprof_stat stat = begin_call(RPCPROF_TAG_SERVER, hostile[3], begin, 1);

	for (uint64_t i = 0; i < 20; i++)
		stage(stat, begin, "/queue", 10 * i, 10 * i + 10, 1);
	stage(stat, begin, "/lock/cart", 300, 303, 1);
	rpcprof_stat_end_at(stat, begin + 400000);
}

static void write_encoded(const char *name, int (*encode)(uint8_t **, size_t *))
{
	uint8_t *bytes;
	size_t length;

	must(encode(&bytes, &length) == 0, name);
	write_bytes(name, bytes, length);
	free(bytes);
}

static void write_waits(void)
{
	struct rpcprof_stat call;

	rpcprof_set_block_rate(1);
	rpcprof_set_mutex_fraction(1);
	/* The clock stands still: these waits take no time. The tag is a lock's from then on. */
	call = rpcprof_stat_begin(RPCPROF_TAG_CLIENT);
	rpcprof_lock_end(RPCPROF_LOCK_BEGIN(call, "/lock/cart"));
	rpcprof_stat_discard(call);
	for (int i = 0; i < 100; i++)
		rpcprof_lock_end(RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/lock/pool"));
	for (int i = 0; i < 500; i++)
		record_waits();
	write_encoded("block.pb.gz", rpcprof_block_encode);
	write_encoded("mutex.pb.gz", rpcprof_mutex_encode);
}

int main(int argc, char **argv)
{
	must(argc == 2 && chdir(argv[1]) == 0, "DIR");
	write_calls("old.pb.gz", 10, 100);
	write_calls("new.pb.gz", 30, 200);
	write_other("other.pb.gz");
	write_dumps();
	write_drawn();
	write_waits();
	return 0;
}
