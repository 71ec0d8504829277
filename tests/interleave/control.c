/* SPDX-License-Identifier: Apache-2.0 */
/* The switch, init and fini, and the anchors of the clock. */
#include <string.h>
#include <time.h>

#include "fixture.h"
#include "stats/arena_internal.h"
#include "timers/anchors_internal.h"

static uint64_t set_up; /* stands for all that came before */

static void off(void)
{
	fixture_arena(false);
	(void)rpcprof_enable(false);
}

static void enable_or_begin(int thread)
{
	if (thread == 0) {
		rpcprof_store_relaxed(&set_up, 1);
		REQUIRE(rpcprof_enable(true) == 0);
	} else if (!rpcprof_stat_is_null(rpcprof_stat_begin_at(1, 100))) {
		REQUIRE(rpcprof_load_relaxed(&set_up) == 1);
	}
}

static void enable_or_fini(int thread)
{
	if (thread == 0)
		rpcprof_fini();
	else
		(void)rpcprof_enable(true);
}

static void it_is_off(void)
{
	REQUIRE(!rpcprof_enabled());
}

static void see_set_up(void)
{
	execution.out[0]++;
	REQUIRE(rpcprof_load_relaxed(&set_up) == 1);
}

static void register_or_fini(int thread)
{
	if (thread == 0) {
		rpcprof_store_relaxed(&set_up, 1);
		(void)rpcprof_at_fini(see_set_up);
	} else {
		rpcprof_fini();
	}
}

static void fini(int thread)
{
	(void)thread;
	rpcprof_fini();
}

static void registered(void)
{
	fixture_arena(false);
	set_up = 1;
	REQUIRE(rpcprof_at_fini(see_set_up) == 0);
}

static void called_once(void)
{
	REQUIRE(execution.out[0] == 1);
}

/* Anchors, all of whose words say when they were taken. */
static struct rpcprof_clock_state state;

static bool reader_is_early; /* thread 1 finds that no anchor is due */

/* Goes on by 10 at each look at the ticks. */
static uint64_t anchor_ticks(void)
{
	return 2000000000 + (execution.kept[0][0] += 10);
}

static int64_t anchor_ns(void)
{
	if (reader_is_early && rpcprof_thread.id == 102)
		return 1500;
	return 2000000000 + (int64_t)execution.kept[0][0];
}

static void one_anchor(void)
{
	static const struct rpcprof_clock_source source = {anchor_ticks, anchor_ns, anchor_ns, 0};

	fixture_arena(false);
	rpcprof_clock_set_source(&source);
	memset(&state, 0, sizeof(state));
	state.kind = RPCPROF_CLOCK_CUSTOM;
	state.slope = RPCPROF_SLOPE_ONE;
	state.count = 1;
	state.anchors[0] = (struct rpcprof_anchor){
		.ticks = 1005, .utc_ns = 1000, .monotonic_ns = 1000}; /* another is due */
	rpcprof_anchors_publish(&state);
	reader_is_early = false;
}

static void one_anchor_and_a_reader(void)
{
	one_anchor();
	reader_is_early = true;
}

/* One alone may be the reader's own, taken because a writer stood in the way. */
static void anchors_whole(const struct rpcprof_anchor *anchors, uint32_t count)
{
	if (count == 1)
		return;
	REQUIRE(count >= 2 && anchors[0].ticks == 1005);
	for (uint32_t i = 0; i < count; i++) {
		REQUIRE(anchors[i].ticks == (uint64_t)anchors[i].utc_ns + 5);
		REQUIRE(anchors[i].monotonic_ns == anchors[i].utc_ns);
		REQUIRE(i == 0 || anchors[i].ticks > anchors[i - 1].ticks);
	}
}

static void refresh_or_map(int thread)
{
	struct rpcprof_clock_map map;

	if (thread == 0) {
		rpcprof_clock_refresh();
	} else {
		REQUIRE(rpcprof_clock_map_get(&map) == 0);
		anchors_whole(map.anchors, map.count);
	}
}

static void refresh(int thread)
{
	(void)thread;
	rpcprof_clock_refresh();
}

static void anchors_are_whole(void)
{
	REQUIRE(state.seq % 2 == 0 && state.count >= 2);
	anchors_whole(state.anchors, state.count);
}

/* The kind of clock and where its ticks come from. */
static uint64_t no_ticks(void)
{
	REQUIRE(!"the kind of clock is seen, but not its source");
	return 1;
}

static void another_source(void)
{
	static const struct rpcprof_clock_source source = {no_ticks, anchor_ns, anchor_ns, 0};

	one_anchor();
	rpcprof_clock_set_source(&source);
	rpcprof_control_page.head.clock_kind = 0;
}

static void choose_or_read_clock(int thread)
{
	static const struct rpcprof_clock_source source = {anchor_ticks, anchor_ns, anchor_ns, 0};

	if (thread == 0) {
		rpcprof_clock_set_source(&source);
		REQUIRE(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM) == 0);
	} else {
		(void)rpcprof_clock_now_slow();
	}
}

static void unpublished(void)
{
	one_anchor();
	state.slope = 0;
	rpcprof_anchors_publish(NULL);
}

static void publish_or_read(int thread)
{
	const struct rpcprof_clock_state *found;

	if (thread == 0) {
		rpcprof_store_relaxed(&state.slope, 77);
		rpcprof_anchors_publish(&state);
	} else {
		found = rpcprof_anchors_state();
		if (found != NULL)
			REQUIRE(rpcprof_load_relaxed(&found->slope) == 77);
	}
}

/* To whom messages go. Each look at the clock is another second, in which one may speak. */
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	static time_t second;

	(void)id;
	*now = (struct timespec){.tv_sec = ++second};
	return 0;
}

static void hear(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)level;
	(void)message;
	REQUIRE(arg == &set_up && rpcprof_load_relaxed(&set_up) == 1);
}

static void hear_other(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)level;
	(void)message;
	REQUIRE(arg == &state);
}

static void log_to(rpcprof_log_fn *callback, void *arg)
{
	struct rpcprof_config config = {.size = sizeof(config), .log = callback, .log_arg = arg};

	rpcprof_log_init(&config);
}

static void others_hear(void)
{
	fixture_arena(false);
	log_to(hear_other, &state);
}

static void listen_or_speak(int thread)
{
	if (thread == 0) {
		rpcprof_store_relaxed(&set_up, 1);
		log_to(hear, &set_up);
	} else {
		rpcprof_log(RPCPROF_LOG_INFO, "message");
	}
}

const struct interleave_case control_cases[] = {
	{"listen_and_speak", 2, ALL, ALL, 0, others_hear, listen_or_speak, NULL},
	{"enable_and_begin", 2, ALL, ALL, 0, off, enable_or_begin, NULL},
	{"enable_and_fini", 2, ALL, ALL, 0, off, enable_or_fini, it_is_off},
	{"register_and_fini", 2, ALL, ALL, 0, off, register_or_fini, NULL},
	{"fini_twice", 3, ALL, ALL, 0, registered, fini, called_once},
	{"anchors_and_map", 2, 2, 2, 0, one_anchor_and_a_reader, refresh_or_map, anchors_are_whole},
	{"anchors_all_do_all", 2, 2, 1, 0, one_anchor, refresh_or_map, anchors_are_whole},
	{"anchors_two_writers", 2, ALL, ALL, 0, one_anchor, refresh, anchors_are_whole},
	{"clock_chosen_and_read", 2, ALL, ALL, 0, another_source, choose_or_read_clock, NULL},
	{"anchors_published", 2, ALL, ALL, 0, unpublished, publish_or_read, NULL},
	{0},
};
