/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests against servers push with:
 *
 *   push calls URL PROTOCOL DIRECTORY [OPTION=VALUE...]  records calls, pushes two windows of them,
 *                                                        and writes them to the directory too
 *   push file URL PROTOCOL FILE [OPTION=VALUE...]        pushes a profile, name "peer"
 *
 * OPTION: application, tenant, basic_user, basic_password, bearer_file, ca_file, header, spool,
 * flush_ms, timeout_ms, max_age_s, begin_s (of the file's window), uncertain, count (of sends),
 * queue_sessions, profile_bytes, profile_samples, forks (1: after each send there is a child that ends as programs end).
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
	              {"profile_samples", &config->profile_samples}, {"count", &count}, {"forks", &forks}, {"queue_sessions", &config->queue_sessions}};

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

/* Its clean-up must not reach the parent's connection. */
static void fork_child(struct rpcprof_push *push)
{
	pid_t pid = fork();

	if (pid == 0) {
		rpcprof_push_close(push, 1000);
		exit(0);
	}
	waitpid(pid, NULL, 0);
}

static int push_file(struct rpcprof_push *push, const char *name)
{
	static uint8_t bytes[8 << 20];
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
			(void)rpcprof_push_flush(push, flush_ms);
			fork_child(push);
		}
	}
	return 0;
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
	printf("last_error %s\n", stats->last_error);
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
		return fail("usage: push calls|file URL PROTOCOL DIRECTORY|FILE [OPTION=VALUE...]");
	config.url = argv[2];
	config.protocol = (uint32_t)strtoul(argv[3], NULL, 10);
	begin_s = time(NULL) - 1;
	for (int i = 5; i < argc; i++)
		if (!set_text(&config, argv[i]) && !set_number(&config, argv[i]))
			return fail(argv[i]);
	if (rpcprof_init(NULL) != 0 || rpcprof_push_open(&push, &config) != 0)
		return fail("it does not open: RPCPROF_LOG=1 says why");
	error = strcmp(argv[1], "calls") == 0 ? push_calls(push, argv[4]) : push_file(push, argv[4]);
	(void)rpcprof_push_flush(push, flush_ms);
	rpcprof_push_get_stats(push, &stats);
	print(&stats);
	rpcprof_push_close(push, 0);
	return error;
}
