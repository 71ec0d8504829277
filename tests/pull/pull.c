/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests pull from: pull [OPTION=VALUE...]. Starts the endpoint, prints its URL, and does what
 * the lines of its input say, each answered by one line:
 *
 *   call N SIDE METHOD   N calls with a stage /handler
 *   begin METHOD         a call with stages /queue and /handler open; "end" ends it
 *   enable 0|1, enabled  the switch
 *   rates BLOCK N        the rate of blocks and the fraction of locks
 *   wait N               N calls that wait in /queue and then for the lock /lock
 *   exporter             starts an exporter with labels: the aggregate is made anew
 *   fork                 a child that starts an endpoint of its own, until the parent is told "join"
 *   stats                "requests 2 ok 1 ..."
 *   stop MS, start       the endpoint; the number that they gave
 *
 * OPTION: address, read, control, host, host2, certificate, key, plaintext, connections, seconds_max,
 * empty, receive_ms, send_ms, idle_ms, sndbuf (of connections, bytes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pull/pull_internal.h"
#include "rpcprof/pull.h"
#include "rpcprof/rpcprof.h"
#include "rpcprof/waits.h"
#include "tests/include/quiet_fork.h"

static struct rpcprof_pull_config config = {.size = sizeof(config), .address = "127.0.0.1:0"};
static struct rpcprof_stat held;
static pid_t child;
static int to_child;

static uint32_t receive_ms, send_ms, idle_ms, sndbuf;

static bool set(const char *option)
{
	const struct {
		const char *name;
		const char **text;
		uint32_t *number;
	} fields[] = {{"address", &config.address, NULL},
	              {"read", &config.tokens.read, NULL},
	              {"control", &config.tokens.control, NULL},
	              {"host", &config.hosts[0], NULL},
	              {"host2", &config.hosts[1], NULL},
	              {"certificate", &config.tls_certificate_file, NULL},
	              {"key", &config.tls_key_file, NULL},
	              {"plaintext", NULL, &config.insecure_plaintext_token},
	              {"connections", NULL, &config.connections},
	              {"seconds_max", NULL, &config.seconds_max},
	              {"empty", NULL, &config.empty_profiles},
	              {"receive_ms", NULL, &receive_ms},
	              {"send_ms", NULL, &send_ms},
	              {"idle_ms", NULL, &idle_ms},
	              {"sndbuf", NULL, &sndbuf}};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t length = strlen(fields[i].name);

		if (strncmp(option, fields[i].name, length) != 0 || option[length] != '=')
			continue;
		if (fields[i].text != NULL)
			*fields[i].text = option + length + 1;
		else
			*fields[i].number = (uint32_t)strtoul(option + length + 1, NULL, 10);
		return true;
	}
	return false;
}

static void shorten_times(void)
{
	if (receive_ms != 0)
		pull_receive_ns = receive_ms * 1000000ll;
	if (send_ms != 0)
		pull_send_ns = send_ms * 1000000ll;
	if (idle_ms != 0)
		pull_idle_ns = idle_ms * 1000000ll;
}

/* Connections have it of the socket that listens. */
static void set_sndbuf(void)
{
	for (int file = 3; file < 32; file++) {
		int listens = 0, bytes = (int)sndbuf;
		socklen_t length = sizeof(listens);

		if (getsockopt(file, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens)
			(void)setsockopt(file, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
}

static struct rpcprof_stat begin(uint32_t side, const char *method)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(side);

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	return stat;
}

static void wait_in(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		struct rpcprof_stat stat = begin(RPCPROF_TAG_SERVER, "/a.B/Wait");

		rpcprof_timer_end(RPCPROF_TIMER_BEGIN(stat, "/queue"));
		rpcprof_lock_end(RPCPROF_LOCK_BEGIN(stat, "/lock"));
		rpcprof_stat_end(stat);
	}
}

static void calls(unsigned long count, const char *side, const char *method)
{
	for (unsigned long i = 0; i < count; i++) {
		struct rpcprof_stat stat = begin(strcmp(side, "client") == 0 ? RPCPROF_TAG_CLIENT
		                                                             : RPCPROF_TAG_SERVER,
		                                 method);
		struct rpcprof_timer timer = RPCPROF_TIMER_BEGIN(stat, "/handler");

		rpcprof_timer_end(timer);
		rpcprof_stat_set_status(stat, i % 10 == 9 ? 4 : 0);
		rpcprof_stat_end(stat);
	}
}

static void print_stats(void)
{
	struct rpcprof_pull_stats stats = {.size = sizeof(stats)};

	if (rpcprof_pull_get_stats(&stats) != 0)
		abort();
#define PRINT(name) printf(#name " %llu ", (unsigned long long)stats.name)
	PRINT(running);
	PRINT(requests);
	PRINT(under_way);
	PRINT(ok);
	PRINT(ok_bytes);
	PRINT(refused);
	PRINT(bad_host);
	PRINT(unauthenticated);
	PRINT(denied);
	PRINT(cut);
	PRINT(too_slow);
	PRINT(connections);
	PRINT(windows);
	PRINT(consumers);
	printf("url %s\n", stats.url);
}

static const char *url(void)
{
	static struct rpcprof_pull_stats stats;

	stats.size = sizeof(stats);
	(void)rpcprof_pull_get_stats(&stats);
	return stats.url;
}

/* TSan takes no new threads in the child of a process that has some. */
#ifdef __SANITIZE_THREAD__
#define MAY_START 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAY_START 0
#endif
#endif
#ifndef MAY_START
#define MAY_START 1
#endif

/* Says where it is reached, or why not, and ends when it is told or the parent is gone. */
static void be_child(int said, int told)
{
	char line[160];
	int length, error;

	config.address = "127.0.0.1:0";
	error = rpcprof_enable(true);
	if (error == 0 && MAY_START)
		error = rpcprof_pull_start(&config);
	calls(3, "server", "/child.Only/Call");
	length = snprintf(line, sizeof(line), "%d %s\n", error, MAY_START ? url() : "none");
	if (write(said, line, (size_t)length) != length || read(told, line, 1) < 0)
		_exit(1);
	exit(rpcprof_pull_stop(1000) == 0 ? 0 : 1);
}

static void fork_child(void)
{
	char line[160] = "";
	int said[2], told[2];

	if (pipe(said) != 0 || pipe(told) != 0)
		abort();
	fflush(stdout);
	child = quiet_fork();
	if (child == 0) {
		close(told[1]);
		be_child(said[1], told[0]);
	}
	close(said[1]);
	close(told[0]);
	to_child = told[1];
	if (read(said[0], line, sizeof(line) - 1) <= 0)
		abort();
	close(said[0]);
	printf("%d %s", child, line);
}

static int join_child(void)
{
	int status = 1;

	close(to_child);
	waitpid(child, &status, 0);
	return status;
}

static int start_exporter(void)
{
	const struct rpcprof_exporter_config exporter = {
		.size = sizeof(exporter), .label_status = 1, .keep_switch = 1};

	return rpcprof_exporter_start(&exporter);
}

static void hold(const char *method)
{
	held = begin(RPCPROF_TAG_SERVER, method);
	(void)RPCPROF_TIMER_BEGIN(held, "/queue");
	(void)RPCPROF_TIMER_BEGIN(held, "/handler");
	puts("ok");
}

/* Lines with one argument or none, answered by a number. */
static int simple(const char *verb, const char *argument)
{
	if (strcmp(verb, "enable") == 0)
		return rpcprof_enable(argument[0] == '1');
	if (strcmp(verb, "enabled") == 0)
		return rpcprof_enabled();
	if (strcmp(verb, "exporter") == 0)
		return start_exporter();
	if (strcmp(verb, "stop") == 0)
		return rpcprof_pull_stop((uint32_t)strtoul(argument, NULL, 10));
	if (strcmp(verb, "start") == 0)
		return rpcprof_pull_start(&config);
	if (strcmp(verb, "join") == 0)
		return join_child();
	if (strcmp(verb, "end") == 0)
		rpcprof_stat_end(held);
	return 0;
}

static void obey(char *line)
{
	char verb[16] = "", a[128] = "", b[16] = "", c[128] = "";

	if (sscanf(line, "%15s %127s %15s %127s", verb, a, b, c) < 1)
		return;
	if (strcmp(verb, "rates") == 0) {
		rpcprof_set_block_rate(strtol(a, NULL, 10));
		rpcprof_set_mutex_fraction(strtol(b, NULL, 10));
		puts("ok");
	} else if (strcmp(verb, "wait") == 0) {
		wait_in(strtoul(a, NULL, 10));
		puts("ok");
	} else if (strcmp(verb, "call") == 0) {
		calls(strtoul(a, NULL, 10), b, c);
		puts("ok");
	} else if (strcmp(verb, "begin") == 0) {
		hold(a);
	} else if (strcmp(verb, "fork") == 0) {
		fork_child();
	} else if (strcmp(verb, "stats") == 0) {
		print_stats();
	} else {
		printf("%d\n", simple(verb, a));
	}
}

int main(int argc, char **argv)
{
	char line[512];
	int error;

	for (int i = 1; i < argc; i++)
		if (!set(argv[i]))
			return 2;
	shorten_times();
	error = rpcprof_init(NULL);
	if (error == 0)
		error = rpcprof_enable(true);
	if (error == 0)
		error = rpcprof_pull_start(&config);
	if (sndbuf != 0)
		set_sndbuf();
	printf("%d %s\n", error, url());
	fflush(stdout);
	while (error == 0 && fgets(line, sizeof(line), stdin) != NULL) {
		obey(line);
		fflush(stdout);
	}
	rpcprof_fini();
	return 0;
}
