/* SPDX-License-Identifier: Apache-2.0 */
/* The clock's anchors: how many, which ones stay, and that they are read whole. */
#include <pthread.h>
#include <signal.h>
#if defined(__x86_64__)
#include <ucontext.h>
#endif

#include "fake_clock.h"

Test(anchors, are_taken_about_once_a_second)
{
	uint32_t before;

	fake_init();
	live(3);
	before = state.count;
	for (int i = 0; i < 9; i++) {
		advance(SECOND / 10);
		rpcprof_clock_refresh();
	}
	cr_assert_eq(state.count, before);
	advance(SECOND / 10);
	rpcprof_clock_refresh();
	cr_assert_eq(state.count, before + 1);
}

Test(anchors, double_their_spacing_in_the_first_second)
{
	fake_init();
	for (int i = 0; i < 1000; i++) {
		advance(SECOND / 1000);
		rpcprof_clock_refresh();
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_gt(map.count, 5);
	cr_assert_lt(map.count, 12);
}

Test(anchors, of_a_week_span_it_with_spacing_that_grows_with_age)
{
	uint64_t first;

	fake_init();
	first = state.anchors[0].ticks;
	live(7 * 86400);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, RPCPROF_ANCHORS_MAX);
	cr_assert_eq(map.anchors[0].ticks, first);
	cr_assert_eq(map.anchors[map.count - 1].ticks, fake.ticks);
	for (uint32_t i = 0; i + 1 < map.count; i++) {
		uint64_t gap = map.anchors[i + 1].ticks - map.anchors[i].ticks;
		uint64_t age = fake.ticks - map.anchors[i + 1].ticks;

		cr_assert_leq(gap, age + age / 2 + 2 * SECOND, "gap %lu s at age %lu s",
		              gap / SECOND, age / SECOND);
	}
}

Test(anchors, that_enclose_a_step_stay)
{
	uint64_t before, bound;

	fake_init();
	live(100);
	before = fake.ticks;
	fake.utc_ns += 3600 * SECOND;
	live(10000);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before - SECOND, &bound), UTC_2026 + 99 * SECOND);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + 2 * SECOND, &bound),
	             UTC_2026 + 3702 * SECOND);
}

Test(anchors, keep_their_number_when_every_second_has_a_step)
{
	uint64_t bound;

	fake_init();
	for (int i = 0; i < 1000; i++) {
		fake.utc_ns += SECOND;
		live(1);
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, RPCPROF_ANCHORS_MAX);
	cr_assert_eq(map.steps, 1000);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks - 10 * SECOND, &bound),
	             fake.utc_ns - 20 * SECOND);
}

Test(anchors, of_a_stalled_writer_stop_nobody)
{
	uint64_t bound;
	uint32_t count;

	fake_init();
	live(10);
	count = state.count;
	state.seq++; /* a writer fell asleep inside */
	live(10);
	cr_assert_eq(state.count, count);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 1);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks - 15 * SECOND, &bound),
	             fake.utc_ns - 15 * SECOND);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, fake.ticks - SECOND, fake.ticks), SECOND);
}

Test(anchors, go_on_in_a_child_forked_in_the_middle_of_a_store)
{
	fake_init();
	live(10);
	state.seq++;
	live(1);
	rpcprof_clock_after_fork();
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 4);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks, NULL), fake.utc_ns);
}

Test(anchors, are_stored_across_the_end_of_the_lock_word)
{
	fake_init();
	state.seq = UINT32_MAX - 3;
	live(4);
	cr_assert_eq(state.seq, 4);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 5);
}

static int64_t fake_ticks_signed(void)
{
	return (int64_t)fake_ticks();
}

/* Set anew every second: with a step on either side of each, the oldest anchors go and all move. */
static int64_t unsteady_utc(void)
{
	return fake_ticks_signed() / SECOND % 2 * 3600 * SECOND;
}

/* Counter and clock show one number, so an anchor made of parts of two gives itself away. */
static const struct rpcprof_clock_source one = {
	.ticks = fake_ticks,
	.utc_ns = unsteady_utc,
	.monotonic_ns = fake_ticks_signed,
};

/* How many anchors of a map are not whole or not in order. */
static uint64_t count_bad(const struct rpcprof_clock_map *copy)
{
	uint64_t bad = 0;

	for (uint32_t i = 0; i < copy->count; i++) {
		const struct rpcprof_anchor *a = &copy->anchors[i];

		bad += distance((int64_t)a->ticks, a->monotonic_ns) > a->bracket_ns + 1;
		bad += i > 0 && a[-1].ticks >= a->ticks;
	}
	return bad;
}

/* Not under TSan, whose runtime takes locks that a trap would interrupt. */
#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

#if defined(__x86_64__) && !defined(TSAN)
#define TRAP_FLAG 0x100

static volatile int steps, interrupt_at;
static volatile bool armed;

/* After each instruction while the processor's trap flag is set. */
static void on_step(int number, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

	(void)number;
	(void)info;
	*flags |= TRAP_FLAG;
	if (steps++ == interrupt_at)
		live(3);
	if (steps > interrupt_at)
		*flags &= ~(greg_t)TRAP_FLAG;
}

/* What a reader calls last before it copies the anchors. */
static int64_t monotonic_that_arms(void)
{
	if (armed) {
		armed = false;
		raise(SIGTRAP);
	}
	return fake_ticks_signed();
}

/* By one who stores anchors after that many instructions. */
Test(anchors, are_read_whole_wherever_the_reader_is_interrupted)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	struct rpcprof_clock_source trapping = one;
	uint64_t bad = 0;

	trapping.monotonic_ns = monotonic_that_arms;
	rpcprof_clock_set_source(&trapping);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	live(100);
	sigaction(SIGTRAP, &action, NULL);
	for (interrupt_at = 1; interrupt_at < 1000; interrupt_at += 11) {
		steps = 0;
		armed = true;
		bad += rpcprof_clock_map_get(&map) != 0 || count_bad(&map) != 0;
		cr_assert_gt(steps, interrupt_at);
	}
	cr_assert_eq(bad, 0);
}
#endif

struct map_reader {
	pthread_t thread;
	uint64_t maps, bad;
};

#define MAPS_READ 20000

static void *read_maps(void *arg)
{
	struct map_reader *reader = arg;
	struct rpcprof_clock_map mine;

	for (uint64_t n = 1; n <= MAPS_READ; n++) {
		reader->bad += rpcprof_clock_map_get(&mine) != 0;
		reader->bad += count_bad(&mine);
		__atomic_store_n(&reader->maps, n, __ATOMIC_RELAXED);
	}
	return NULL;
}

Test(anchors, are_read_whole_while_others_are_stored)
{
	struct map_reader readers[3] = { 0 };

	rpcprof_clock_set_source(&one);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&readers[i].thread, NULL, read_maps, &readers[i]);
	for (int i = 0; i < 3; i++) {
		while (__atomic_load_n(&readers[i].maps, __ATOMIC_RELAXED) < MAPS_READ)
			live(1);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(readers[i].thread, NULL);
		cr_assert_eq(readers[i].bad, 0);
	}
}
