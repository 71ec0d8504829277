/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet URL PROCESSES SECONDS INTERVAL_S SPOOL SCALE: what a fleet sends to one server.
 *
 * Each of the processes is a push of its own: queue, thread, connection, spool, label "instance".
 * One exporter records calls of 20 methods and hands each window to all of them at once, for
 * windows end at the same moment everywhere. SCALE divides all times of a push but those of a
 * request, for windows shorter than 10 s. SPOOL is a directory. After SECONDS, and
 * what the spools then need, it prints the sums of all counters, a line each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "rpcprof/push.h"
#include "rpcprof/rpcprof.h"

#define METHODS 20
#define FLEET_MAX 4096

static struct rpcprof_push *fleet[FLEET_MAX];
static unsigned count;
static uint64_t windows, window_bytes;

static int fail(const char *what)
{
	fprintf(stderr, "fleet: %s\n", what);
	return 1;
}

static void take_window(void *arg, const struct rpcprof_window_profile *window)
{
	(void)arg;
	windows++;
	window_bytes += window->length;
	for (unsigned i = 0; i < count; i++)
		rpcprof_push_window(fleet[i], window);
}

static void sleep_ms(long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void call(unsigned number)
{
	static const char *const stages[] = {"/decode", "/queue", "/handler", "/encode", "/send"};
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	char name[64];

	snprintf(name, sizeof(name), "/fleet.Service/Method%u", number % METHODS);
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, (size_t)-1));
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		rpcprof_timer_end(rpcprof_timer_begin(
			stat, rpcprof_tag_intern(RPCPROF_TAG_STAGE, stages[i], (size_t)-1)));
	rpcprof_stat_set_status(stat, number % 7 == 0 ? 14 : 0);
	rpcprof_stat_end(stat);
}

static int open_fleet(const char *url, unsigned wanted, const char *spools, uint32_t scale)
{
	for (count = 0; count < wanted; count++) {
		char instance[16], spool[512];
		const struct rpcprof_label label = {"instance", instance};
		const struct rpcprof_push_config config = {
			.size = sizeof(config), .url = url, .application = "fleet",
			.labels = &label, .label_count = 1, .spool = spool,
			.backoff_min_ms = 1000 / scale, .backoff_max_ms = 60000 / scale,
			.jitter_ms = 5000 / scale, .max_age_s = 3300 / scale};

		snprintf(instance, sizeof(instance), "%u", count);
		snprintf(spool, sizeof(spool), "%s/%u", spools, count);
		if (rpcprof_push_open(&fleet[count], &config) != 0)
			return fail("a push does not open: RPCPROF_LOG=1 says why");
	}
	return 0;
}

static void add_up(struct rpcprof_push_stats *sum)
{
	*sum = (struct rpcprof_push_stats){.size = sizeof(*sum)};
	for (unsigned i = 0; i < count; i++) {
		struct rpcprof_push_stats one = {.size = sizeof(one)};

		rpcprof_push_get_stats(fleet[i], &one);
#define ADD(name) sum->name += one.name
		ADD(taken), ADD(sent), ADD(sent_bytes), ADD(retried), ADD(queued);
		ADD(dropped_full), ADD(dropped_refused), ADD(dropped_uncertain), ADD(dropped_old);
		ADD(dropped_invalid), ADD(spooled), ADD(unspooled), ADD(merged), ADD(spool_pruned);
		if (one.last_error[0] != '\0')
			memcpy(sum->last_error, one.last_error, sizeof(one.last_error));
	}
}

static void print(const struct rpcprof_push_stats *sum)
{
	struct rpcprof_exporter_stats exporter = {.size = sizeof(exporter)};

#define PRINT(name) printf(#name " %llu\n", (unsigned long long)sum->name)
	PRINT(taken), PRINT(sent), PRINT(sent_bytes), PRINT(retried), PRINT(queued);
	PRINT(dropped_full), PRINT(dropped_refused), PRINT(dropped_uncertain), PRINT(dropped_old);
	PRINT(dropped_invalid), PRINT(spooled), PRINT(unspooled), PRINT(merged);
	PRINT(spool_pruned);
	rpcprof_exporter_get_stats(&exporter);
	printf("windows %llu\nwindow_bytes %llu\ncalls %llu\nlast_error %s\n",
	       (unsigned long long)windows, (unsigned long long)(window_bytes / (windows + !windows)),
	       (unsigned long long)exporter.calls, sum->last_error);
}

/* What waits is sent when it is due: at most as long again as it all took. */
static void await_spools(struct rpcprof_push_stats *sum, long seconds)
{
	for (long left_ms = 2 * seconds * 1000; left_ms > 0; left_ms -= 200) {
		add_up(sum);
		if (sum->queued + sum->spooled - sum->unspooled - sum->spool_pruned == 0)
			return;
		sleep_ms(200);
	}
}

static int run(long seconds, uint32_t interval_s)
{
	const struct rpcprof_exporter_config config = {
		.size = sizeof(config), .interval_s = interval_s, .on_window = take_window};
	time_t end = time(NULL) + seconds;

	if (rpcprof_exporter_start(&config) != 0)
		return fail("the exporter does not start");
	for (unsigned i = 0; time(NULL) < end; i++) {
		call(i);
		sleep_ms(2);
	}
	rpcprof_exporter_stop();
	return 0;
}

/* Each push has a socket and what wakes its thread. */
static void allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct rpcprof_push_stats sum = {.size = sizeof(sum)};
	long wanted, seconds;
	int status;

	if (argc != 7)
		return fail("usage: fleet URL PROCESSES SECONDS INTERVAL_S SPOOL SCALE");
	wanted = strtol(argv[2], NULL, 10);
	seconds = strtol(argv[3], NULL, 10);
	if (wanted < 1 || wanted > FLEET_MAX || seconds < 1)
		return fail("PROCESSES is 1 to 4096, SECONDS at least 1");
	allow_files();
	if (rpcprof_init(NULL) != 0)
		return fail("rpcprof does not start");
	status = open_fleet(argv[1], (unsigned)wanted, argv[5],
	                    (uint32_t)strtoul(argv[6], NULL, 10));
	if (status == 0)
		status = run(seconds, (uint32_t)strtoul(argv[4], NULL, 10));
	await_spools(&sum, seconds);
	print(&sum);
	while (count > 0)
		rpcprof_push_close(fleet[--count], 0);
	return status;
}
