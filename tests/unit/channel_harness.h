/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_CHANNEL_HARNESS_H
#define RPCPROF_TESTS_CHANNEL_HARNESS_H

/*
 * Forked children, and an exporter that is stepped beside them: no threads, and the clock is the
 * tests'.
 */
#include "tests/unit/exporter_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "export/channel_internal.h"
#include "tests/include/quiet_fork.h"

#define LOOK_NS RPCPROF_CHANNEL_REST_NS
#define LONG_MS 60000

static const struct rpcprof_exporter_config quiet = {.size = sizeof(quiet), .interval_s = 3600,
                                                     .on_window = on_window,
                                                     .on_window_arg = &said};

static inline void open_exporter(void)
{
	init_fake(64);
	rpcprof_exporter_watch_forks();
	open_stepped(quiet);
}

static inline pid_t run_child(int (*run)(void))
{
	pid_t pid = quiet_fork(); /* its handlers free what was the parent's */

	if (pid == 0)
		_exit(run());
	cr_assert(pid > 0);
	return pid;
}

/* Looks again and again until the child has ended. What it ended with; a signal: minus that. */
static inline int step_until_end(pid_t pid)
{
	int status;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		rpcprof_exporter_step(&stepped, false);
		pass(LOOK_NS);
		usleep(100);
	}
	if (ended != pid)
		return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int end_of(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline uint64_t run_count(void)
{
	uint64_t requests, refused;

	rpcprof_channel_counts(&requests, &refused);
	return requests;
}

static inline uint64_t refused_count(void)
{
	uint64_t requests, refused;

	rpcprof_channel_counts(&requests, &refused);
	return refused;
}

/* A child's result: 0, or the positive errno. */
static inline int flush(void)
{
	return -rpcprof_parent_flush(LONG_MS);
}

static inline int flush_in_vain(void)
{
	return rpcprof_parent_flush(20) == -ETIMEDOUT ? 0 : 1;
}

static inline int open_files(void)
{
	int count = 0;

	for (int i = 0; i < 256; i++)
		count += fcntl(i, F_GETFD) >= 0;
	return count;
}

static char labels[4096];

static inline int note_label(const char *name, const char *value)
{
	size_t n = strlen(labels);

	snprintf(labels + n, sizeof(labels) - n, "%s=%s\n", name, value != NULL ? value : "(null)");
	return strcmp(name, "bad") == 0 ? -EINVAL : 0;
}

#endif
