/* SPDX-License-Identifier: Apache-2.0 */
/* The profiles "block" and "mutex", of waits whose lengths are known to the nanosecond. */
#include "export/waits_internal.h"
#include "rpcprof/waits.h"
#include "tests/unit/exporter_harness.h"

#define WAITS 10000
/* Of 10 k, where k of WAITS are taken with probability 1/10: 10 sqrt(WAITS 0.1 0.9). */
#define SIGMA 300

typedef int encode_fn(uint8_t **bytes, size_t *length);

/* What a profile of waits says: "root;...;leaf count delay\n". */
static struct {
	char stacks[4096];
	char types[128];
	char comments[512];
	int64_t count, delay_ns, time_ns, duration_ns;
} seen;

static void see_stack(const struct rpcprof_pprof *model, size_t i)
{
	const struct pprof_sample *sample = &model->samples[i];
	const int64_t *values = rpcprof_pprof_values(model, i);
	size_t n = strlen(seen.stacks);

	for (uint32_t k = sample->depth; k-- > 0;) {
		const struct pprof_location *at =
			&model->locations[model->frames[sample->frames + k] - 1];
		uint32_t name = rpcprof_pprof_line_function(model, &model->lines[at->lines])->name;

		n += (size_t)snprintf(seen.stacks + n, sizeof(seen.stacks) - n, "%s%s",
		                      rpcprof_pprof_text(model, name), k ? ";" : "");
	}
	snprintf(seen.stacks + n, sizeof(seen.stacks) - n, " %ld %ld\n", values[0], values[1]);
	seen.count += values[0];
	seen.delay_ns += values[1];
}

static void see(const uint8_t *bytes, size_t length)
{
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;
	uint8_t *plain = NULL;
	size_t plain_length;

	memset(&seen, 0, sizeof(seen));
	cr_assert_eq(rpcprof_pprof_gunzip(bytes, length, 1 << 26, &plain, &plain_length, &error), 0);
	cr_assert_eq(rpcprof_pprof_decode(plain, plain_length, 0, &model, &error), 0);
	cr_assert_eq(model->types_count, 2);
	snprintf(seen.types, sizeof(seen.types), "%s/%s %s/%s %s/%s",
	         rpcprof_pprof_text(model, model->types[0].type),
	         rpcprof_pprof_text(model, model->types[0].unit),
	         rpcprof_pprof_text(model, model->types[1].type),
	         rpcprof_pprof_text(model, model->types[1].unit),
	         rpcprof_pprof_text(model, model->period_type.type),
	         rpcprof_pprof_text(model, model->period_type.unit));
	for (size_t i = 0; i < model->samples_count; i++)
		see_stack(model, i);
	for (size_t i = 0; i < model->comments_count; i++) {
		strcat(seen.comments, rpcprof_pprof_text(model, model->comments[i]));
		strcat(seen.comments, "\n");
	}
	seen.time_ns = model->time_ns;
	seen.duration_ns = model->duration_ns;
	rpcprof_pprof_close(model);
	free(plain);
}

static const char *read_back(encode_fn *encode)
{
	uint8_t *bytes = NULL;
	size_t length;

	cr_assert_eq(encode(&bytes, &length), 0);
	see(bytes, length);
	free(bytes);
	return seen.stacks;
}

static uint32_t stage(const char *name)
{
	return rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1);
}

static struct rpcprof_stat begin(void)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a/B", (size_t)-1));
	return stat;
}

/* A call of one stage. */
static void call_of(const char *name, int64_t ns)
{
	struct rpcprof_stat stat = begin();

	rpcprof_lap(stat, stage(name));
	pass(ns);
	rpcprof_stat_end(stat);
}

static void call_of_lock(int64_t ns)
{
	struct rpcprof_stat stat = begin();
	struct rpcprof_lock_wait wait = RPCPROF_LOCK_BEGIN(stat, "/lock");

	pass(ns);
	rpcprof_lock_end(wait);
	rpcprof_stat_end(stat);
}

Test(waits, ten_thousand_of_known_length_are_exact_at_rate_1)
{
	init_fake(2 * WAITS);
	cr_assert_eq(rpcprof_set_block_rate(1), 0);
	for (int i = 0; i < WAITS; i++)
		call_of("/queue", 123 + i % 2);
	read_back(rpcprof_block_encode);
	cr_assert_str_eq(seen.stacks, "server;/a/B;/queue 10000 1235000\n");
	cr_assert_str_eq(seen.types,
	                 "contentions/count delay/nanoseconds contentions/count");
	cr_assert_eq(seen.time_ns, utc);
	cr_assert_eq(seen.duration_ns, 0, "cumulative");
	cr_assert_not_null(strstr(seen.comments, "rate: 1 ns\nunaggregated: 0\n"));
}

Test(waits, shorter_ones_than_the_rate_are_sampled_without_bias)
{
	init_fake(2 * WAITS);
	cr_assert_eq(rpcprof_set_block_rate(1230), 0);
	for (int i = 0; i < WAITS; i++)
		call_of("/queue", 123);
	read_back(rpcprof_block_encode);
	cr_assert_eq(seen.count % 10, 0);
	cr_assert_gt(seen.count, WAITS - 3 * SIGMA);
	cr_assert_lt(seen.count, WAITS + 3 * SIGMA);
	cr_assert_eq(seen.delay_ns, seen.count * 123);
}

/* The remainder of rate / length goes by chance: 2.5 for each taken. */
Test(waits, counts_have_no_bias_where_the_rate_is_no_multiple)
{
	init_fake(2 * WAITS);
	rpcprof_set_block_rate(250);
	for (int i = 0; i < WAITS; i++)
		call_of("/queue", 100);
	read_back(rpcprof_block_encode);
	cr_assert_gt(seen.count, WAITS - 3 * SIGMA);
	cr_assert_lt(seen.count, WAITS + 3 * SIGMA);
	cr_assert_eq(seen.delay_ns % 250, 0);
	cr_assert_gt(seen.delay_ns, 100 * (WAITS - 3 * SIGMA));
	cr_assert_lt(seen.delay_ns, 100 * (WAITS + 3 * SIGMA));
}

Test(waits, as_long_as_the_rate_is_always_taken)
{
	init_fake(0);
	rpcprof_set_block_rate(100);
	for (int i = 0; i < 1000; i++)
		call_of("/queue", 100);
	cr_assert_str_eq(read_back(rpcprof_block_encode), "server;/a/B;/queue 1000 100000\n");
}

Test(waits, of_no_length_count)
{
	init_fake(0);
	rpcprof_set_block_rate(1);
	for (int i = 0; i < 10; i++)
		call_of("/queue", 0);
	cr_assert_str_eq(read_back(rpcprof_block_encode), "server;/a/B;/queue 10 0\n");
	rpcprof_set_block_rate(2);
	for (int i = 0; i < 1000; i++)
		call_of("/queue", 0);
	read_back(rpcprof_block_encode);
	cr_assert_gt(seen.count, 1010 - 3 * 32);
	cr_assert_lt(seen.count, 1010 + 3 * 32);
	cr_assert_eq(seen.delay_ns, 0);
}

Test(waits, locks_in_calls_are_exact_at_fraction_1)
{
	init_fake(2 * WAITS);
	cr_assert_eq(rpcprof_set_mutex_fraction(1), 0);
	for (int i = 0; i < WAITS; i++)
		call_of_lock(77);
	read_back(rpcprof_mutex_encode);
	cr_assert_str_eq(seen.stacks, "server;/a/B;/lock 10000 770000\n");
	cr_assert_str_eq(seen.types,
	                 "contentions/count delay/nanoseconds contentions/count");
	cr_assert_not_null(strstr(seen.comments, "fraction: one of 1\n"));
}

Test(waits, locks_in_calls_are_sampled_without_bias)
{
	init_fake(2 * WAITS);
	rpcprof_set_mutex_fraction(10);
	for (int i = 0; i < WAITS; i++)
		call_of_lock(77);
	read_back(rpcprof_mutex_encode);
	cr_assert_eq(seen.count % 10, 0);
	cr_assert_gt(seen.count, WAITS - 3 * SIGMA);
	cr_assert_lt(seen.count, WAITS + 3 * SIGMA);
	cr_assert_eq(seen.delay_ns, seen.count * 77);
}

Test(waits, locks_outside_of_calls_stand_alone)
{
	init_fake(0);
	rpcprof_set_mutex_fraction(1);
	call_of_lock(5);
	for (int i = 0; i < WAITS; i++) {
		struct rpcprof_lock_wait wait =
			RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/lock/pool");

		pass(11);
		rpcprof_lock_end(wait);
	}
	cr_assert_str_eq(read_back(rpcprof_mutex_encode),
	                 "server;/a/B;/lock 1 5\n/lock/pool 10000 110000\n");
}

Test(waits, are_the_stages_of_these_names_and_those_marked)
{
	struct rpcprof_stat stat;

	init_fake(0);
	rpcprof_set_block_rate(1);
	cr_assert_eq(rpcprof_tag_wait(stage("/disk")), 0);
	cr_assert_eq(rpcprof_tag_wait(12345), -EINVAL);
	stat = begin();
	rpcprof_lap(stat, stage("/recv/message"));
	pass(1);
	rpcprof_lap(stat, stage("/handler"));
	pass(2);
	rpcprof_lap(stat, stage("/disk"));
	pass(4);
	rpcprof_lap(stat, stage("/send/status"));
	pass(8);
	rpcprof_lap(stat, stage("/decode,/queue"));
	pass(16);
	rpcprof_lap(stat, stage("/queued"));
	pass(32);
	rpcprof_stat_end(stat);
	cr_assert_str_eq(read_back(rpcprof_block_encode),
	                 "server;/a/B;/recv/message 1 1\nserver;/a/B;/disk 1 4\n"
	                 "server;/a/B;/send/status 1 8\nserver;/a/B;/decode,/queue 1 16\n");
}

Test(waits, an_instant_counts_once_where_waits_nest)
{
	struct rpcprof_timer outer, handler, inner;
	struct rpcprof_stat stat;

	init_fake(0);
	rpcprof_set_block_rate(1);
	stat = begin();
	outer = rpcprof_timer_begin(stat, stage("/recv/message"));
	pass(10);
	handler = rpcprof_timer_begin(stat, stage("/decompress"));
	inner = rpcprof_timer_begin(stat, stage("/queue"));
	pass(5);
	rpcprof_timer_end(inner);
	pass(3);
	rpcprof_timer_end(handler);
	pass(100);
	rpcprof_timer_end(outer);
	rpcprof_stat_end(stat);
	read_back(rpcprof_block_encode);
	cr_assert_str_eq(seen.stacks,
	                 "server;/a/B;/recv/message 1 113\n"
	                 "server;/a/B;/recv/message;/decompress;/queue 1 5\n");
	cr_assert_eq(seen.delay_ns, 118, "what the outer one lasted");
}

Test(waits, folded_ones_are_whole_at_any_rate)
{
	struct rpcprof_stat stat;

	init_fake(0);
	rpcprof_set_block_rate(1);
	stat = begin();
	for (int i = 0; i < WAITS; i++) {
		rpcprof_lap(stat, stage("/queue"));
		pass(9);
	}
	rpcprof_stat_end(stat);
	read_back(rpcprof_block_encode);
	cr_assert_eq(seen.count, WAITS);
	cr_assert_eq(seen.delay_ns, WAITS * 9);
}

Test(waits, there_is_no_profile_while_off)
{
	uint8_t *bytes;
	size_t length;

	rpcprof_set_block_rate(1);
	cr_assert_eq(rpcprof_block_encode(&bytes, &length), -ENODEV);
	rpcprof_set_block_rate(0);
	init_fake(0);
	call_of("/queue", 10);
	cr_assert_eq(rpcprof_block_encode(&bytes, &length), -ENOENT);
	cr_assert_eq(rpcprof_mutex_encode(&bytes, &length), -ENOENT);
	cr_assert_eq(rpcprof_set_block_rate(-1), 0);
}

Test(waits, off_for_a_while_is_not_in_it)
{
	uint8_t *bytes;
	size_t length;

	init_fake(0);
	cr_assert_eq(rpcprof_set_block_rate(1), 0);
	call_of("/queue", 10);
	read_back(rpcprof_block_encode);
	cr_assert_eq(rpcprof_set_block_rate(0), 1);
	call_of("/queue", 100);
	free(rpcprof_profile_encode(&bytes, &length) == 0 ? bytes : NULL);
	rpcprof_set_block_rate(1);
	call_of("/queue", 1000);
	cr_assert_str_eq(read_back(rpcprof_block_encode), "server;/a/B;/queue 2 1010\n");
}

Test(waits, an_empty_profile_is_one)
{
	init_fake(0);
	rpcprof_set_block_rate(1);
	rpcprof_set_mutex_fraction(1);
	cr_assert_str_eq(read_back(rpcprof_block_encode), "");
	cr_assert_str_eq(read_back(rpcprof_mutex_encode), "");
}

Test(waits, are_cumulative_beside_windows)
{
	init_fake(0);
	rpcprof_set_block_rate(1);
	open_stepped((struct rpcprof_exporter_config){0});
	call_of("/queue", 10);
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	call_of("/queue", 10);
	cr_assert_str_eq(read_back(rpcprof_block_encode), "server;/a/B;/queue 2 20\n");
	cr_assert_str_eq(read_back(rpcprof_block_encode), "server;/a/B;/queue 2 20\n");
	rpcprof_exporter_close(&stepped);
}

Test(waits, of_a_period_are_the_difference)
{
	struct rpcprof_waits_look before, after;
	struct rpcprof_lock_wait wait;
	uint8_t *bytes = NULL;
	size_t length;

	init_fake(0);
	rpcprof_set_mutex_fraction(1);
	call_of_lock(1);
	wait = RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/lock/pool");
	pass(2);
	rpcprof_lock_end(wait);
	cr_assert_eq(rpcprof_waits_look(&before, RPCPROF_MUTEX), 0);
	pass(10 * S);
	call_of_lock(4);
	wait = RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/lock/new");
	pass(8);
	rpcprof_lock_end(wait);
	cr_assert_eq(rpcprof_waits_look(&after, RPCPROF_MUTEX), 0);
	cr_assert_eq(rpcprof_waits_encode(&after, &before, &bytes, &length), 0);
	see(bytes, length);
	cr_assert_str_eq(seen.stacks, "server;/a/B;/lock 1 4\n/lock/new 1 8\n");
	cr_assert_eq(seen.time_ns, utc - 10 * S - 12);
	cr_assert_eq(seen.duration_ns, 10 * S + 12);
	free(bytes);
	rpcprof_waits_close(&before);
	rpcprof_waits_close(&after);
}

Test(waits, of_a_period_over_a_new_beginning_are_stale)
{
	struct rpcprof_waits_look before;
	uint8_t *bytes;
	size_t length;

	init_fake(0);
	rpcprof_set_block_rate(1);
	cr_assert_eq(rpcprof_waits_look(&before, RPCPROF_BLOCK), 0);
	open_stepped((struct rpcprof_exporter_config){.label_status = 1});
	cr_assert_eq(rpcprof_waits_encode(&before, NULL, &bytes, &length), -ESTALE);
	rpcprof_waits_close(&before);
	rpcprof_exporter_close(&stepped);
}
