/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_AGENT_H
#define RPCPROF_AGENT_H

/*
 * All of it by configuration: recording, profiles per window, and where they go.
 *
 *     rpcprof_agent_start(NULL);
 *     ... serve ...
 *     rpcprof_agent_stop(5000);
 *
 * Each setting is taken from the first of these that has it: the program (rpcprof_agent_config),
 * RPCPROF_* variables, the file that RPCPROF_CONFIG names, what people have set for others
 * (PYROSCOPE_SERVER_ADDRESS, PYROSCOPE_APPLICATION_NAME, PYROSCOPE_LABELS,
 * PYROSCOPE_BASIC_AUTH_USER, PYROSCOPE_BASIC_AUTH_PASSWORD, OTEL_SERVICE_NAME,
 * OTEL_RESOURCE_ATTRIBUTES), its default. docs/export.md lists the keys, `rpcprof config` shows
 * what is in force and from where. With no server, no directory and no on_window set, calls are
 * recorded and nothing is sent.
 *
 * Of librpcprof-export, if it was built with RPCPROF_CONFIG (libyaml).
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/export.h"
#include "rpcprof/push.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** One key and its value, as a file has them: {"url", "http://localhost:4040"}, {"interval", "10s"},
 * {"labels", "region=north,tier=web"}. Keys of servers are those of the first one. */
struct rpcprof_setting {
	const char *key;
	const char *value;
};

/** What rpcprof_agent_start() takes. Set size, leave the rest 0. */
struct rpcprof_agent_config {
	size_t size;      /* sizeof(struct rpcprof_agent_config) */
	const char *file; /* instead of RPCPROF_CONFIG's */
	const struct rpcprof_setting *settings; /* these come before all others */
	size_t setting_count;
	rpcprof_window_fn *on_window; /* profiles to the program too; NULL: none */
	void *on_window_arg;
	char *error; /* room for a sentence that tells what is wrong and where; NULL: none */
	size_t error_bytes;
};

/**
 * Recording is on, and profiles go where the configuration says, until rpcprof_agent_stop().
 *
 * Calls rpcprof_init() if the program did not, rpcprof_push_open() for each server,
 * rpcprof_exporter_start(), and rpcprof_pull_start() if `pull` is set. If anything is wrong, nothing was started and no file made; a mistake
 * in the configuration does not even initialise. In a forked child there is none, or with
 * on_fork: restart one of its own.
 *
 * @param config  NULL: all of it from outside the program; copied, with its strings
 * @return        0 or a negative errno
 *
 * Threads:  any
 * Progress: blocking on files; allocates
 * Errors:   -EINVAL something in the configuration (config->error and the log say what and where);
 *           -EALREADY an agent or exporter is running; others as rpcprof_init(),
 *           rpcprof_push_open() and rpcprof_exporter_start()
 */
int rpcprof_agent_start(const struct rpcprof_agent_config *config);

/**
 * Closes the last window, sends what is left, and ends the threads. Leaves the switch as it is.
 *
 * @param timeout_ms  for what is left, all servers together
 * @return            0, also when none is running; -ETIMEDOUT: something was left; it is in the
 *                    spool or lost
 *
 * Threads:  any, but not inside on_window
 * Progress: blocking on the servers, timeout_ms and a moment; on on_window and the disk
 */
int rpcprof_agent_stop(uint32_t timeout_ms);

/**
 * A server of the running agent, for rpcprof_push_get_stats(), rpcprof_push_set_label() and
 * profiles of one's own: rpcprof_push_send().
 *
 * @param i  0, 1, ... in the order of the configuration
 * @return   good until rpcprof_agent_stop(); NULL past the last, or if no agent is running
 *
 * Threads:  any, but not inside on_window
 * Progress: blocking on rpcprof_agent_start() and rpcprof_agent_stop()
 */
struct rpcprof_push *rpcprof_agent_push(size_t i);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
