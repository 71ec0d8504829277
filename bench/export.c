/* SPDX-License-Identifier: Apache-2.0 */
/* What turning Stats into profiles costs. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "export/aggregate_internal.h"
#include "export/pprof_internal.h"
#include "rpcprof/export.h"
#include "rpcprof/metrics.h"

#define LOCATIONS 200
#define SAMPLES 100000
#define METHODS 1000
#define STAGES 10

static struct rpcprof_aggregate *aggregate;
static struct rpcprof_clock_map map;

static int add(void *arg, const struct rpcprof_view *view)
{
	rpcprof_aggregate_add(arg, view, &map);
	return 0;
}

static void fill(void)
{
	struct rpcprof_aggregate_options options = {.bytes = 8 << 20};
	uint32_t method = rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/bench.Bench/Call", (size_t)-1);

	if (aggregate == NULL)
		aggregate = rpcprof_aggregate_open(&options, 64);
	(void)rpcprof_clock_map_get(&map);
	(void)rpcprof_enable(true);
	for (uint32_t i = 0; i < bench_capacity; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		rpcprof_stat_set_method(stat, method);
		for (int k = 0; k < 8; k++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end(stat);
	}
}

static uint64_t aggregate_stat(uint64_t count, uint32_t thread)
{
	(void)count;
	(void)thread;
	return (uint64_t)rpcprof_drain(add, aggregate);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	return x ^ x >> 33;
}

static struct rpcprof_pprof *open_profile(uint64_t *locations)
{
	static const struct rpcprof_pprof_type types[] = {
		{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};
	struct rpcprof_pprof_info info = {.types = types, .type_count = 3,
	                                  .period_type = {"wall", "nanoseconds"}, .period = 1,
	                                  .time_ns = 1, .duration_ns = 1, .mapping_file = "bench"};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&info);
	char name[64];

	if (pprof == NULL)
		exit(2);
	for (int i = 0; i < LOCATIONS; i++) {
		(void)snprintf(name, sizeof(name), "/bench.Service%d/Method", i);
		locations[i] = (uint64_t)rpcprof_pprof_location(pprof, name, name);
	}
	return pprof;
}

static struct rpcprof_pprof_label label(struct rpcprof_pprof *pprof, const char *key,
                                        const char *value)
{
	return (struct rpcprof_pprof_label){.key = rpcprof_pprof_string(pprof, key),
	                                    .str = rpcprof_pprof_string(pprof, value)};
}

static void add_samples(struct rpcprof_pprof *pprof, const uint64_t *locations)
{
	struct rpcprof_pprof_label side = label(pprof, "side", "server");
	struct rpcprof_pprof_label tenants[] = {label(pprof, "tenant", "a"),
	                                        label(pprof, "tenant", "b")};
	uint64_t stack[8];

	for (uint64_t i = 0; i < SAMPLES; i++) {
		int64_t values[3] = {0, (int64_t)(i % 7), (int64_t)(mix(i) % 1000000)};
		struct rpcprof_pprof_label labels[] = {side, tenants[i % 2]};
		size_t depth = 4 + mix(i) % 5;

		for (size_t k = 0; k < depth; k++)
			stack[k] = locations[mix(i * 8 + k) % LOCATIONS];
		if (rpcprof_pprof_add(pprof, stack, depth, values, labels, 2) != 0)
			exit(2);
	}
}

static struct rpcprof_pprof *model;

/* A profile of 100 000 samples, four to eight deep, two string labels each. */
static uint64_t pprof_add(uint64_t count, uint32_t thread)
{
	uint64_t locations[LOCATIONS];

	(void)count;
	(void)thread;
	if (model != NULL)
		rpcprof_pprof_close(model);
	model = open_profile(locations);
	add_samples(model, locations);
	return SAMPLES;
}

static void make_model(void)
{
	if (model == NULL)
		(void)pprof_add(0, 0);
}

/* The same to gzipped bytes. */
static uint64_t pprof_sample(uint64_t count, uint32_t thread)
{
	uint8_t *bytes;
	size_t length;

	(void)count;
	(void)thread;
	if (rpcprof_pprof_encode(model, &bytes, &length) != 0)
		exit(2);
	free(bytes);
	return SAMPLES;
}

size_t bench_metrics_bytes;

static void write_metrics(void)
{
	char *text;

	if (rpcprof_metrics_text(NULL, &text, &bench_metrics_bytes) != 0)
		exit(2);
	free(text);
}

/* An exporter's options stay when it has ended: in 8 MiB there is no room for all these. */
static void open_metrics(void)
{
	const struct rpcprof_exporter_config config = {.size = sizeof(config),
	                                               .aggregate_bytes = 64 << 20};

	if (rpcprof_exporter_start(&config) != 0 || rpcprof_exporter_stop() != 0)
		exit(2);
}

static void make_methods(void)
{
	char name[64];

	(void)rpcprof_enable(true);
	for (int i = 0; i < METHODS; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		(void)snprintf(name, sizeof(name), "/shop.v1.Service%d/Method%d", i / 10, i);
		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, (size_t)-1));
		for (int k = 0; k < STAGES; k++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end(stat);
		if (i % 50 == 49) /* whatever N is */
			write_metrics();
	}
}

/* What other cases left in the ring is not part of it. */
static void prepare_metrics(void)
{
	if (bench_metrics_bytes == 0) {
		open_metrics();
		make_methods();
	}
	write_metrics();
}

/* The text of 1000 methods of ten stages. */
static uint64_t metrics_write(uint64_t count, uint32_t thread)
{
	(void)count;
	(void)thread;
	write_metrics();
	return 1;
}

int bench_write_samples(const char *path)
{
	FILE *file = fopen(path, "w");
	uint8_t *bytes;
	size_t length;
	bool written;

	make_model();
	if (rpcprof_pprof_encode(model, &bytes, &length) != 0)
		exit(2);
	written = file != NULL && fwrite(bytes, 1, length, file) == length;
	free(bytes);
	if (file == NULL || fclose(file) != 0 || !written) {
		perror(path);
		return 1;
	}
	return 0;
}

static void nothing(void)
{
}

const struct bench_case bench_export[] = {
	{.name = "aggregate_stat", .run = aggregate_stat, .max_threads = 1, .before = fill},
	{.name = "pprof_add", .run = pprof_add, .max_threads = 1, .before = nothing},
	{.name = "pprof_sample", .run = pprof_sample, .max_threads = 1, .before = make_model},
	{.name = "metrics_write", .run = metrics_write, .max_threads = 1, .before = prepare_metrics},
	{.name = NULL},
};
