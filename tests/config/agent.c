/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent CALLS [fork|ask|orphan]: records so many calls, and knows of its configuration only what is
 * around it. Prints what became of the profiles of the first server, or does not wait for it if
 * AGENT_STOP_MS says how long the end may take.
 *
 * fork:   a forked child records so many as well.
 * ask:    a forked child has the parent set a label and flush; then as many calls again.
 * orphan: the parent is killed, and what a forked child is told then is printed.
 *
 * agent -: records what the lines of its input say, "server /shop.Cart/Add 0 20": the side, method,
 * status and number of calls. It is also what scripts/test-peers pushes with.
 */
#include <errno.h>
#include <rpcprof/agent.h>
#include <rpcprof/rpcprof.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/include/quiet_fork.h"

static void record(uint32_t side, const char *name, int status, int calls)
{
	uint32_t method = rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, (size_t)-1);

	for (int i = 0; i < calls; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(side);

		rpcprof_stat_set_method(stat, method);
		RPCPROF_LAP(stat, "/handler");
		rpcprof_stat_set_status(stat, status);
		rpcprof_stat_end(stat);
	}
}

static void record_input(void)
{
	char side[8], method[128];
	int status, calls;

	while (scanf("%7s %127s %d %d", side, method, &status, &calls) == 4)
		record(strcmp(side, "client") == 0 ? RPCPROF_TAG_CLIENT : RPCPROF_TAG_SERVER, method,
		       status, calls);
}

static void record_what(const char *calls)
{
	if (strcmp(calls, "-") == 0)
		record_input();
	else
		record(RPCPROF_TAG_SERVER, "/shop.Cart/Add", 0, atoi(calls));
}

static int ask(void)
{
	if (rpcprof_parent_set_label("region", "south", 60000) != 0)
		return 5;
	if (rpcprof_parent_set_label("no good", "x", 60000) != -EINVAL)
		return 6;
	return rpcprof_parent_flush(60000) == 0 ? 0 : 7;
}

static void ask_nobody(pid_t parent)
{
	while (getppid() == parent)
		usleep(1000);
	dprintf(STDOUT_FILENO, "flush %d\n", rpcprof_parent_flush(60000));
}

/* In a forked child. */
static int do_childs_part(const char *what, const char *calls, pid_t parent)
{
	if (strcmp(what, "ask") == 0)
		return ask();
	if (strcmp(what, "orphan") == 0) {
		ask_nobody(parent);
		return 0;
	}
	record_what(calls);
	return rpcprof_agent_stop(10000) == 0 ? 0 : 2;
}

/* 0, or what the child ended with. */
static int fork_child(const char *what, const char *calls)
{
	pid_t parent = getpid(), child = quiet_fork();
	int status;

	if (child == 0)
		_exit(do_childs_part(what, calls, parent));
	if (strcmp(what, "orphan") == 0)
		raise(SIGKILL);
	if (waitpid(child, &status, 0) != child || status != 0)
		return WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : 3;
	if (strcmp(what, "ask") == 0)
		record_what(calls);
	return 0;
}

int main(int argc, char **argv)
{
	struct rpcprof_agent_config config = {.size = sizeof(config)};
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};
	const char *stop_ms = getenv("AGENT_STOP_MS");
	char error[512] = "";
	int status;

	config.error = error;
	config.error_bytes = sizeof(error);
	if (rpcprof_agent_start(&config) != 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	record_what(argv[1]);
	status = argc > 2 ? fork_child(argv[2], argv[1]) : 0;
	if (status != 0)
		return status;
	if (rpcprof_agent_push(0) != NULL && stop_ms == NULL) {
		rpcprof_exporter_flush(10000);
		rpcprof_push_flush(rpcprof_agent_push(0), 10000);
		rpcprof_push_get_stats(rpcprof_agent_push(0), &stats);
		printf("taken %d sent %d uncertain %d\n", (int)stats.taken, (int)stats.sent,
		       (int)stats.dropped_uncertain);
	}
	return rpcprof_agent_stop(stop_ms != NULL ? (uint32_t)atoi(stop_ms) : 10000) == 0 ? 0 : 4;
}
