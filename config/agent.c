/* SPDX-License-Identifier: Apache-2.0 */
/* The one agent of a process: started and stopped by the program, or again in a forked child. */
#include "rpcprof/agent.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/sinks_internal.h"

static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool running; /* under lifecycle, as all below */
static struct config config;
static struct config_sinks sinks;

/* Before rpcprof_init() there is no log: then RPCPROF_LOG is looked at here. */
static void say(enum rpcprof_log_level level, const char *text)
{
	struct rpcprof_config now = {.size = sizeof(now)};

	if (rpcprof_get_config(&now) == 0)
		rpcprof_log(level, "%s", text);
	else if (getenv("RPCPROF_LOG") != NULL)
		(void)fprintf(stderr, "rpcprof: %s\n", text);
}

static void say_notes(void)
{
	char *rest = config.notes, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			say(RPCPROF_LOG_WARNING, line);
}

static bool has_receiver(void)
{
	return sinks.count > 0 || sinks.on_window != NULL || config.exporter.directory != NULL;
}

#ifdef RPCPROF_PULL
static int start_pull(void)
{
	char reason[64];
	int error = config.pull.address != NULL ? rpcprof_pull_start(&config.pull) : 0;

	if (error != 0)
		(void)config_fail(&config, "pull \"%.200s\": %s; RPCPROF_LOG=1 tells more",
		                  config.pull.address, strerror_r(-error, reason, sizeof(reason)));
	return error;
}

static void stop_pull(void)
{
	if (config.pull.address != NULL)
		(void)rpcprof_pull_stop(0);
}
#else
static int start_pull(void)
{
	return config.pull.address == NULL
	               ? 0 : config_fail(&config, "pull is set, but this rpcprof was built without it: "
	                                          "take it away, or build with RPCPROF_PULL");
}

static void stop_pull(void)
{
}
#endif

/* Of what config says. All or nothing, but for rpcprof_init(). */
static int open_all(void)
{
	int error = rpcprof_init(&config.recording);

	if (error != 0 && error != -EALREADY)
		return error;
	error = config_sinks_open(&sinks, &config);
	if (error != 0)
		return error;
	if (sinks.count > 0 || sinks.on_window != NULL) {
		config.exporter.on_window = config_sinks_window;
		config.exporter.on_window_arg = &sinks;
	}
	if (has_receiver())
		error = rpcprof_exporter_start(&config.exporter);
	else
		say(RPCPROF_LOG_INFO, "no server or directory is configured: calls are recorded, "
		                      "profiles go nowhere");
	if (error == 0) {
		error = start_pull();
		if (error != 0 && has_receiver())
			(void)rpcprof_exporter_stop();
	}
	if (error != 0)
		(void)config_sinks_close(&sinks, 0);
	return error;
}

static void restart(void)
{
	(void)config_sinks_close(&sinks, 0); /* which are the parent's: only their memory */
	config.pull.address = NULL; /* the parent listens there */
	running = open_all() == 0;
	if (!running)
		say(RPCPROF_LOG_ERROR, "the forked child sends no profiles");
}

static void child(void)
{
	bool was_running = running;

	pthread_mutex_init(&lifecycle, NULL);
	running = false;
	if (was_running && config.on_fork == CONFIG_FORK_RESTART)
		restart();
	else
		sinks.count = 0;
}

/* Children's handlers run in the order in which they were set: this one comes after those of
 * recording, exporter and pushes, which have set theirs by then. */
static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, child);
}

static int start(const struct rpcprof_agent_config *agent)
{
	char reason[64];
	int error;

	config_clear(&config);
	memset(&sinks, 0, sizeof(sinks));
	sinks.on_window = agent->on_window;
	sinks.on_window_arg = agent->on_window_arg;
	error = config_read(&config, agent, program_invocation_short_name);
	if (error == 0)
		error = open_all();
	if (error != 0 && config.error[0] == '\0')
		(void)config_fail(&config, "the agent did not start: %s",
		                  strerror_r(-error, reason, sizeof(reason)));
	if (error == 0) {
		pthread_once(&once, watch_forks);
		if (config.enabled)
			(void)rpcprof_enable(true);
	}
	say_notes();
	if (error != 0)
		say(RPCPROF_LOG_ERROR, config.error);
	return error;
}

static bool complete(struct rpcprof_agent_config *full, const struct rpcprof_agent_config *agent)
{
	memset(full, 0, sizeof(*full));
	if (agent == NULL)
		return true;
	if (agent->size < offsetof(struct rpcprof_agent_config, settings) ||
	    agent->size > sizeof(*full))
		return false;
	memcpy(full, agent, agent->size);
	return true;
}

int rpcprof_agent_start(const struct rpcprof_agent_config *agent)
{
	struct rpcprof_agent_config full;
	int error;

	if (!complete(&full, agent)) {
		say(RPCPROF_LOG_ERROR, "rpcprof_agent_start: size is not that of a version of the "
		                       "configuration");
		return -EINVAL;
	}
	pthread_mutex_lock(&lifecycle);
	if (running) {
		error = -EALREADY;
	} else {
		error = start(&full);
		running = error == 0;
		if (error != 0 && full.error != NULL)
			(void)snprintf(full.error, full.error_bytes, "%s", config.error);
		if (error != 0)
			config_clear(&config);
	}
	pthread_mutex_unlock(&lifecycle);
	return error;
}

int rpcprof_agent_stop(uint32_t timeout_ms)
{
	int error = 0;

	pthread_mutex_lock(&lifecycle);
	if (running) {
		error = has_receiver() ? rpcprof_exporter_stop() : 0;
		if (error == 0) {
			error = config_sinks_close(&sinks, timeout_ms);
			stop_pull();
			config_clear(&config);
			running = false;
		}
	}
	pthread_mutex_unlock(&lifecycle);
	return error;
}

struct rpcprof_push *rpcprof_agent_push(size_t i)
{
	struct rpcprof_push *push;

	pthread_mutex_lock(&lifecycle);
	push = running && i < sinks.count ? sinks.pushes[i] : NULL;
	pthread_mutex_unlock(&lifecycle);
	return push;
}
