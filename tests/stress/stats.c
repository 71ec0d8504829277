/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact accounting under load: 2, 8 and 64 threads record Stats whose timers carry checksums, hand
 * some over to other threads, discard some, use some handles late; beside them threads come and go,
 * children are forked, the switch is toggled, Stats are collected, drained and looked at. At the end
 * every Stat was delivered exactly once, displaced or still there, none twice, none torn, none lost.
 *
 * usage: stress_stats [seconds for each number of threads [rounds]]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"

#define THREADS_MAX 64
#define BITS_MAX (1u << 28) /* serial numbers of Stats, all threads */
#define HANDS 256
#define BRIEF_STATS 40   /* of a thread that comes and goes */
#define CHILD_STATS 2000 /* of a forked child: more than the ring holds */

static uint8_t *delivered; /* a bit per Stat: serial -> drained */
static uint64_t hands[HANDS];
static uint32_t stop;
static uint64_t torn, doubled, seen_by_snapshot, drained, begun, discarded, late_uses;
static uint64_t brief_threads, children, children_wrong;

/* What the rounds add up to. */
static struct {
	uint64_t pushed, drained, displaced, left, torn, doubled, lost;
} totals;

/* Serial numbers from `next` to before `end`, for one thread at a time. */
struct serials {
	uint64_t next, end;
	uint32_t stats; /* at most so many, 0 = until `stop` */
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	return x ^ x >> 33;
}

/* What timer i of Stat `serial` must hold. */
static void timer_of(uint64_t serial, uint32_t i, struct rpcprof_detached_timer *timer)
{
	timer->tag = 100 + (uint32_t)(mix(serial + i) & 0xffff);
	timer->begin = mix(serial * 31 + i) | 1;
	timer->end = timer->begin + (mix(serial ^ i) & 0xffffff);
	timer->thread = (uint32_t)mix(serial * 7 + i);
}

static uint32_t timers_of(uint64_t serial)
{
	return (uint32_t)(mix(serial) % 14);
}

static struct rpcprof_stat record_begin(uint64_t serial)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	struct rpcprof_detached_timer timer;

	if (rpcprof_stat_is_null(stat))
		return stat;
	rpcprof_stat_set_method(stat, (uint32_t)serial);
	rpcprof_stat_set_status(stat, (int32_t)mix(serial));
	for (uint32_t i = 0; i < timers_of(serial); i++) {
		timer_of(serial, i, &timer);
		rpcprof_stat_append(stat, &timer);
	}
	return stat;
}

static int timers_wrong(const struct rpcprof_view *view, uint64_t serial)
{
	struct rpcprof_detached_timer want;
	struct rpcprof_timer_view got;
	uint32_t n = 0;

	for (uint32_t i = 0; i < view->slots; i++) {
		if (!rpcprof_view_timer(view, i, &got))
			continue;
		timer_of(serial, n++, &want);
		if (got.tag != want.tag || got.begin != want.begin || got.end != want.end ||
		    got.thread != want.thread)
			return 1;
	}
	return n != timers_of(serial);
}

static int view_wrong(const struct rpcprof_view *view)
{
	uint64_t serial = rpcprof_view_method(view);

	return rpcprof_view_status(view) != (int32_t)mix(serial) ||
	       rpcprof_view_begin(view) > rpcprof_view_end(view) || timers_wrong(view, serial);
}

static int on_drain(void *arg, const struct rpcprof_view *view)
{
	uint32_t serial = rpcprof_view_method(view);
	uint8_t bit = (uint8_t)(1u << serial % 8);

	(void)arg;
	if (view_wrong(view))
		__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
	if (__atomic_fetch_or(&delivered[serial / 8], bit, __ATOMIC_RELAXED) & bit)
		__atomic_fetch_add(&doubled, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&drained, 1, __ATOMIC_RELAXED);
	return 0;
}

static int on_look(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	if (view_wrong(view))
		__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&seen_by_snapshot, 1, __ATOMIC_RELAXED);
	return 0;
}

static int on_flight(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	return rpcprof_view_end(view) != 0;
}

static void finish(struct rpcprof_stat stat, uint64_t choice)
{
	if (choice % 16 == 0) {
		rpcprof_stat_discard(stat);
		__atomic_fetch_add(&discarded, 1, __ATOMIC_RELAXED);
	} else {
		rpcprof_stat_end(stat);
	}
	if (choice % 64 == 1) { /* a handle kept too long */
		rpcprof_timer_begin(stat, 5);
		rpcprof_stat_end(stat);
		__atomic_fetch_add(&late_uses, 2, __ATOMIC_RELAXED);
	}
}

static void *recorder(void *arg)
{
	struct serials *serials = arg;
	uint32_t left = serials->stats;
	struct rpcprof_stat stat;

	while (serials->next < serials->end && !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t choice = mix(serials->next + 12345);
		stat = record_begin(serials->next);
		if (rpcprof_stat_is_null(stat)) {
			usleep(50); /* off, or out of cells */
			continue;
		}
		serials->next++;
		__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
		if (choice % 4 == 0) /* hand it over and finish what lay there */
			stat.bits = __atomic_exchange_n(&hands[choice / 4 % HANDS], stat.bits,
			                                __ATOMIC_ACQ_REL);
		if (!rpcprof_stat_is_null(stat))
			finish(stat, choice / 1024);
		if (left != 0 && --left == 0)
			break;
	}
	return NULL;
}

/* Threads that record a little and exit. */
static void *parent_of_threads(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		pthread_t brief;
		if (pthread_create(&brief, NULL, recorder, arg) != 0)
			continue;
		pthread_join(brief, NULL);
		brief_threads++;
		usleep(200);
	}
	return NULL;
}

static int on_child_drain(void *arg, const struct rpcprof_view *view)
{
	*(int *)arg |= view_wrong(view);
	return 0;
}

/* A forked child accounts for its own from zero, and its parent's handles mean nothing there. */
static int child(void)
{
	struct rpcprof_stat of_parent = {__atomic_load_n(&hands[0], __ATOMIC_RELAXED)};
	struct rpcprof_counters all;
	int64_t taken;
	int wrong = 0;

	rpcprof_enable(true);
	for (uint64_t serial = 0; serial < CHILD_STATS; serial++)
		rpcprof_stat_end(record_begin(serial));
	rpcprof_stat_end(of_parent);
	taken = rpcprof_drain(on_child_drain, &wrong);
	rpcprof_counters_get(&all);
	return wrong || all.pushed != CHILD_STATS || taken < 0 ||
	       all.pushed != (uint64_t)taken + all.displaced ||
	       all.late != !rpcprof_stat_is_null(of_parent);
}

static void *forker(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(child());
		if (pid > 0 && waitpid(pid, &status, 0) == pid) {
			children++;
			children_wrong += status != 0;
		}
		usleep(20000);
	}
	return arg;
}

static void *toggler(void *arg)
{
	for (uint64_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		rpcprof_enable(i % 8 != 0);
		usleep(300);
	}
	return arg;
}

static void *drainer(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		rpcprof_drain(on_drain, NULL);
		usleep(arg != NULL ? 2000 : 5000);
	}
	return NULL;
}

static int on_collect(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	if (view_wrong(view))
		__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
	return 0;
}

static void *reader(void *arg)
{
	struct rpcprof_filter filter = {.size = sizeof(filter)};

	for (uint64_t i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
		filter.unordered = i % 2;
		rpcprof_snapshot(&filter, on_look, NULL);
		rpcprof_inflight(NULL, on_flight, NULL);
		rpcprof_collect(on_collect, NULL);
		usleep(500);
	}
	return arg;
}

static int count_one(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

/* Nobody records any more. */
static int report(int threads, const struct rpcprof_counters *before)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .unordered = 1};
	uint64_t left = 0, pushed, displaced, late, by_counter, drained_before = drained;
	struct rpcprof_counters all;
	int64_t lost;
	int wrong;

	rpcprof_snapshot(&filter, count_one, &left);
	rpcprof_counters_get(&all);
	pushed = all.pushed - before->pushed;
	displaced = all.displaced - before->displaced;
	late = all.late - before->late;
	by_counter = all.drained - before->drained;
	rpcprof_drain(on_drain, NULL); /* now what was left is drained, and looked at, too */
	lost = (int64_t)(pushed - drained_before - displaced - left);
	wrong = lost != 0 || by_counter != drained_before || drained != drained_before + left ||
	        pushed + discarded != begun || torn != 0 || doubled != 0 || late != late_uses ||
	        children_wrong != 0;
	printf("%2d threads: begun %llu pushed %llu = drained %llu + displaced %llu + left %llu; torn "
	       "%llu doubled %llu lost %lld; discarded %llu late %llu of %llu snapshots %llu no-cell "
	       "%llu exited %llu children %llu of them wrong %llu%s\n",
	       threads, (unsigned long long)begun, (unsigned long long)pushed,
	       (unsigned long long)drained_before, (unsigned long long)displaced,
	       (unsigned long long)left, (unsigned long long)torn, (unsigned long long)doubled,
	       (long long)lost, (unsigned long long)discarded, (unsigned long long)late,
	       (unsigned long long)late_uses, (unsigned long long)seen_by_snapshot,
	       (unsigned long long)(all.dropped_no_cell - before->dropped_no_cell),
	       (unsigned long long)brief_threads, (unsigned long long)children,
	       (unsigned long long)children_wrong, wrong ? "  WRONG" : "");
	fflush(stdout);
	totals.pushed += pushed;
	totals.drained += drained_before;
	totals.displaced += displaced;
	totals.left += left;
	totals.torn += torn;
	totals.doubled += doubled;
	totals.lost += (uint64_t)lost;
	return wrong;
}

/* On a terminal, shows that it goes on. */
static void wait_for(int threads, unsigned seconds)
{
	for (unsigned second = 0; second < seconds; second++) {
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r%2d threads, %u of %u s, %llu begun \r", threads, second,
			        seconds, (unsigned long long)__atomic_load_n(&begun, __ATOMIC_RELAXED));
		sleep(1);
	}
}

static int run(int threads, unsigned seconds)
{
	const uint64_t share = BITS_MAX / ((uint64_t)threads + 1);
	struct serials serials[THREADS_MAX + 1];
	pthread_t recorders[THREADS_MAX], others[6];
	struct rpcprof_counters before;

	begun = drained = discarded = late_uses = seen_by_snapshot = 0;
	torn = doubled = brief_threads = children = children_wrong = 0;
	memset(delivered, 0, BITS_MAX / 8);
	rpcprof_counters_get(&before);
	__atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
	for (int i = 0; i <= threads; i++)
		serials[i] = (struct serials){(uint64_t)i * share, (uint64_t)(i + 1) * share, 0};
	serials[threads].stats = BRIEF_STATS;
	for (int i = 0; i < threads; i++)
		pthread_create(&recorders[i], NULL, recorder, &serials[i]);
	pthread_create(&others[0], NULL, toggler, NULL);
	pthread_create(&others[1], NULL, drainer, NULL);
	pthread_create(&others[2], NULL, drainer, &others);
	pthread_create(&others[3], NULL, reader, NULL);
	pthread_create(&others[4], NULL, parent_of_threads, &serials[threads]);
	pthread_create(&others[5], NULL, forker, NULL);
	wait_for(threads, seconds);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < threads; i++)
		pthread_join(recorders[i], NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(others[i], NULL);
	for (int i = 0; i < HANDS; i++) {
		struct rpcprof_stat stat = {hands[i]};
		rpcprof_stat_end(stat);
		hands[i] = 0;
	}
	return report(threads, &before);
}

int main(int argc, char **argv)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 1000};
	unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	int wrong = 0;

	delivered = malloc(BITS_MAX / 8);
	if (delivered == NULL || rpcprof_init(&config) != 0 || rpcprof_enable(true) != 0)
		return 2;
	for (unsigned round = 0; round < rounds; round++) {
		wrong |= run(2, seconds);
		wrong |= run(8, seconds);
		wrong |= run(64, seconds);
	}
	printf("all: pushed %llu drained %llu displaced %llu left %llu torn %llu doubled %llu lost "
	       "%lld: %s\n",
	       (unsigned long long)totals.pushed, (unsigned long long)totals.drained,
	       (unsigned long long)totals.displaced, (unsigned long long)totals.left,
	       (unsigned long long)totals.torn, (unsigned long long)totals.doubled,
	       (long long)totals.lost, wrong ? "NOT exact" : "exact");
	free(delivered);
	return wrong;
}
