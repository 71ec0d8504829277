/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests against servers push with:
 *
 *   push calls URL PROTOCOL DIRECTORY [OPTION=VALUE...]  records calls, pushes two windows of them,
 *                                                        and writes them to the directory too
 *   push file URL PROTOCOL FILE [OPTION=VALUE...]        pushes a profile, name "peer"
 *   push load URL PROTOCOL SECONDS [OPTION=VALUE...]     records calls all the time and pushes a
 *                                                        window of them each second
 *   push methods URL PROTOCOL NUMBER [OPTION=VALUE...]   pushes one window of calls of so many
 *                                                        methods, on both sides, of 3 statuses
 *
 * OPTION: application, tenant, basic_user, basic_password, bearer_file, ca_file, header, spool,
 * flush_ms, timeout_ms, max_age_s, begin_s (of the file's window), uncertain, count (of sends),
 * queue_sessions, queue_bytes, profile_bytes, profile_samples, forks (1: in the middle of sends
 * there is a child, which ends as programs do).
 * Prints the counters, a line each: "sent 2". Ends with 0 if it could run, whatever became of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rpcprof/push.h"
#include "rpcprof/rpcprof.h"

static uint32_t flush_ms = 20000, count = 1, forks;
static int64_t begin_s;

/* Of load. */
static int loaded;
static int64_t last_end_ns;
static uint64_t gaps, calls;

static int fail(const char *what)
{
	fprintf(stderr, "push: %s\n", what);
	return 1;
}

static const char *value_of(const char *option, const char *name)
{
	size_t length = strlen(name);

	return strncmp(option, name, length) == 0 && option[length] == '=' ? option + length + 1
	                                                                   : NULL;
}

static int set_text(struct rpcprof_push_config *config, const char *option)
{
	const struct {
		const char *name;
		const char **field;
	} fields[] = {{"application", &config->application}, {"tenant", &config->tenant},
	              {"basic_user", &config->basic_user}, {"basic_password", &config->basic_password},
	              {"bearer_file", &config->bearer_file}, {"ca_file", &config->ca_file},
	              {"header", &config->headers[0]}, {"spool", &config->spool}};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *value = value_of(option, fields[i].name);

		if (value != NULL)
			*fields[i].field = value;
		if (value != NULL)
			return 1;
	}
	return 0;
}

static int set_number(struct rpcprof_push_config *config, const char *option)
{
	const struct {
		const char *name;
		uint32_t *field;
	} fields[] = {{"flush_ms", &flush_ms}, {"timeout_ms", &config->timeout_ms},
	              {"max_age_s", &config->max_age_s}, {"uncertain", &config->retry_uncertain},
	              {"profile_bytes", &config->profile_bytes},
	              {"profile_samples", &config->profile_samples}, {"count", &count},
	              {"forks", &forks}, {"queue_sessions", &config->queue_sessions},
	              {"queue_bytes", &config->queue_bytes}};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *value = value_of(option, fields[i].name);

		if (value != NULL)
			*fields[i].field = (uint32_t)strtoul(value, NULL, 10);
		if (value != NULL)
			return 1;
	}
	if (value_of(option, "begin_s") == NULL)
		return 0;
	begin_s = strtoll(value_of(option, "begin_s"), NULL, 10);
	return 1;
}

static void stage(struct rpcprof_stat stat, const char *name, long ns)
{
	struct rpcprof_timer timer = rpcprof_timer_begin(
		stat, rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1));
	struct timespec time = {0, ns};

	nanosleep(&time, NULL);
	rpcprof_timer_end(timer);
}

static void call(int i)
{
	static const char *const methods[] = {"/peer.Echo/Say", "/peer.Echo/Stream<T>",
	                                      "/peer.Other/Do(it)"};
	struct rpcprof_stat stat = rpcprof_stat_begin(i % 2 ? RPCPROF_TAG_SERVER
	                                                    : RPCPROF_TAG_CLIENT);

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, methods[i % 3],
	                                                 (size_t)-1));
	stage(stat, "/decode", 20000);
	stage(stat, "/handler", 50000);
	rpcprof_stat_set_status(stat, i % 5 == 0 ? 4 : 0);
	rpcprof_stat_end(stat);
}

static int push_calls(struct rpcprof_push *push, const char *directory)
{
	const struct rpcprof_exporter_config config = {
		.size = sizeof(config), .interval_s = 3600, .directory = directory,
		.on_window = rpcprof_push_window, .on_window_arg = push};

	if (rpcprof_exporter_start(&config) != 0)
		return fail("the exporter does not start");
	for (int window = 0; window < 2; window++) {
		for (int i = 0; i < 100; i++)
			call(i);
		if (rpcprof_exporter_flush(10000) != 0)
			return fail("the exporter does not flush");
	}
	rpcprof_exporter_stop();
	return 0;
}

static void take_window(void *arg, const struct rpcprof_window_profile *window)
{
	if (last_end_ns != 0 && window->begin_ns != last_end_ns)
		gaps++;
	last_end_ns = window->end_ns;
	rpcprof_push_window(arg, window);
}

static int push_load(struct rpcprof_push *push, const char *seconds)
{
	const struct rpcprof_exporter_config config = {
		.size = sizeof(config), .interval_s = 1,
		.on_window = take_window, .on_window_arg = push};
	time_t end = time(NULL) + strtol(seconds, NULL, 10);

	if (rpcprof_exporter_start(&config) != 0)
		return fail("the exporter does not start");
	for (; time(NULL) <= end; calls++)
		call((int)calls);
	rpcprof_exporter_stop();
	loaded = 1;
	return 0;
}

static int push_methods(struct rpcprof_push *push, const char *number)
{
	const struct rpcprof_exporter_config config = {
		.size = sizeof(config), .interval_s = 3600,
		.on_window = rpcprof_push_window, .on_window_arg = push};
	static const int statuses[] = {0, 4, 14};
	long methods = strtol(number, NULL, 10);

	if (rpcprof_exporter_start(&config) != 0)
		return fail("the exporter does not start");
	for (long i = 0; i < 6 * methods; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(i % 2 ? RPCPROF_TAG_SERVER
		                                                    : RPCPROF_TAG_CLIENT);
		char name[64];

		snprintf(name, sizeof(name), "/peer.Many/Method%ld", i / 6);
		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, name,
		                                                 (size_t)-1));
		rpcprof_stat_set_status(stat, statuses[i % 3]);
		rpcprof_stat_end(stat);
	}
	rpcprof_exporter_stop();
	return 0;
}

#ifdef __SANITIZE_THREAD__
#define SENDS_A_FORK 10 /* there a fork takes a second */
#else
#define SENDS_A_FORK 1
#endif

/* Its clean-up must not reach the parent's connection. With a sanitizer there is none: their run times
 * may keep the locks of a thread that was in them, which a child has no more. */
static void fork_child(struct rpcprof_push *push)
{
	pid_t pid = fork();

	if (pid == 0) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
		_exit(0);
#endif
		rpcprof_push_close(push, 1000);
		exit(0);
	}
	waitpid(pid, NULL, 0);
}

static int push_file(struct rpcprof_push *push, const char *name)
{
	static uint8_t bytes[64 << 20];
	FILE *file = fopen(name, "rb");
	struct rpcprof_window_profile profile = {.begin_ns = begin_s * 1000000000,
	                                         .end_ns = begin_s * 1000000000 + 1,
	                                         .bytes = bytes};

	if (file == NULL)
		return fail("the file does not open");
	profile.length = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (uint32_t i = 0; i < count; i++) {
		(void)rpcprof_push_send(push, "peer", &profile, NULL, 0);
		if (forks) {
			if (i % SENDS_A_FORK == 0)
				fork_child(push);
			(void)rpcprof_push_flush(push, flush_ms);
		}
	}
	return 0;
}

static void print_load(void)
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	rpcprof_exporter_get_stats(&stats);
	printf("gaps %llu\ncalls %llu\ncalls_in_windows %llu\n", (unsigned long long)gaps,
	       (unsigned long long)calls, (unsigned long long)stats.calls);
}

/* ru_maxrss would begin with that of the program which started this one. */
static long peak_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (file != NULL && kib == 0 && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	if (file != NULL)
		fclose(file);
	return kib;
}

static void print(const struct rpcprof_push_stats *stats)
{
#define PRINT(name) printf(#name " %llu\n", (unsigned long long)stats->name)
	PRINT(taken);
	PRINT(split);
	PRINT(sent);
	PRINT(sent_bytes);
	PRINT(retried);
	PRINT(queued);
	PRINT(dropped_full);
	PRINT(dropped_refused);
	PRINT(dropped_uncertain);
	PRINT(dropped_old);
	PRINT(dropped_invalid);
	PRINT(folded);
	PRINT(unspooled);
	PRINT(spool_damaged);
	PRINT(last_status);
	printf("peak_kib %ld\n", peak_kib());
	printf("last_error %s\n", stats->last_error);
}

static int run(const char *what, struct rpcprof_push *push, const char *argument)
{
	static const struct {
		const char *name;
		int (*run)(struct rpcprof_push *push, const char *argument);
	} all[] = {{"calls", push_calls}, {"file", push_file}, {"load", push_load},
	           {"methods", push_methods}};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(what, all[i].name) == 0)
			return all[i].run(push, argument);
	return fail(what);
}

int main(int argc, char **argv)
{
	const struct rpcprof_label labels[] = {{"region", "north"}, {"version", "1.2.3"}};
	struct rpcprof_push_config config = {.size = sizeof(config), .labels = labels,
	                                     .label_count = 2, .backoff_min_ms = 50,
	                                     .backoff_max_ms = 200};
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};
	struct rpcprof_push *push;
	int error;

	if (argc < 5)
		return fail("usage: push calls|file|load|methods URL PROTOCOL ARGUMENT [OPTION=VALUE...]");
	config.url = argv[2];
	config.protocol = (uint32_t)strtoul(argv[3], NULL, 10);
	begin_s = time(NULL) - 1;
	for (int i = 5; i < argc; i++)
		if (!set_text(&config, argv[i]) && !set_number(&config, argv[i]))
			return fail(argv[i]);
	if (rpcprof_init(NULL) != 0 || rpcprof_push_open(&push, &config) != 0)
		return fail("it does not open: RPCPROF_LOG=1 says why");
	error = run(argv[1], push, argv[4]);
	(void)rpcprof_push_flush(push, flush_ms);
	rpcprof_push_get_stats(push, &stats);
	print(&stats);
	if (loaded)
		print_load();
	rpcprof_push_close(push, 0);
	return error;
}
