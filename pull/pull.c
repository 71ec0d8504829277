/* SPDX-License-Identifier: Apache-2.0 */
/* The endpoint: start, stop, and its thread, which does all of libmicrohttpd's work itself. */
#include "rpcprof/pull.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "pull/pull_internal.h"
#include "rpcprof/control.h"
#include "thread_internal.h"

#define PEM_MAX (1u << 20)
#define MEMORY_PER_CONNECTION (16u << 10) /* a request's head has to fit */
#define FINI_MS 100
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER; /* guards these */
static struct pull *running;
static struct pull *inherited; /* of the parents; never touched, only not lost */
static struct rpcprof_pull_stats last;
static bool fini_knows;

int64_t pull_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void pull_count(struct pull *pull, uint64_t *counter, int64_t by)
{
	pthread_mutex_lock(&pull->lock);
	*counter += (uint64_t)by;
	pthread_mutex_unlock(&pull->lock);
}

bool pull_is_stopping(struct pull *pull)
{
	bool stop;

	pthread_mutex_lock(&pull->lock);
	stop = pull->stop;
	pthread_mutex_unlock(&pull->lock);
	return stop;
}

/* The thread. */

static int64_t min(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Whether it is asked or not: without it calls would be gone before somebody asks. An exporter does it
 * as often, and two would look through the ring for each other's: after anybody else's collection
 * this one waits a quarter longer, and is there when a slow on_window keeps the exporter. */
static void collect(struct pull *pull, int64_t now_ns)
{
	int64_t latest, due_ns, collected;

	if (now_ns < pull->collect_ns)
		return;
	latest = rpcprof_collector_collected_ns();
	due_ns = latest + pull->wait_ns + pull->wait_ns / 4;
	if (latest != pull->collected_ns && now_ns < due_ns) {
		pull->collect_ns = due_ns;
		return;
	}
	if (latest != 0)
		pull->pace.last_ns = latest;
	collected = rpcprof_collector_collect(0);
	pull->collected_ns = rpcprof_collector_collected_ns();
	pull->wait_ns = rpcprof_pace_next(&pull->pace, collected > 0 ? (uint64_t)collected : 0,
	                                  now_ns);
	pull->collect_ns = now_ns + pull->wait_ns;
}

/* All there is to do now. Returns the nanoseconds until there is more. */
static int64_t step(struct pull *pull)
{
	int64_t now = pull_now_ns(), until;
	MHD_UNSIGNED_LONG_LONG milliseconds;

	collect(pull, now);
	(void)pull_windows_finish(pull, now);
	(void)pull_connections_expire(pull, now);
	MHD_run(pull->daemon);
	/* Requests that it read have made more. */
	until = min(pull->collect_ns, pull_connections_expire(pull, now));
	until = min(until, pull_windows_finish(pull, now));
	if (MHD_get_timeout(pull->daemon, &milliseconds) == MHD_YES && milliseconds == 0)
		return 0;
	now = pull_now_ns();
	return until > now ? until - now : 0;
}

static void wait_ns(struct pull *pull, int64_t ns)
{
	struct pollfd polls[2 + PULL_CONNECTIONS_MAX] = {{.fd = pull->epoll, .events = POLLIN},
	                                                 {.fd = pull->wake, .events = POLLIN}};
	const struct timespec time = {ns / 1000000000, ns % 1000000000};
	size_t count = 2 + pull_windows_poll(pull, polls + 2);
	uint64_t asked;

	if (ppoll(polls, count, &time, NULL) <= 0)
		return;
	pull_windows_polled(pull, polls + 2);
	if (polls[1].revents != 0)
		(void)!read(pull->wake, &asked, sizeof(asked));
}

/* Whether nothing is left to be sent, or there is no time for it. */
static bool is_over(struct pull *pull)
{
	bool stop, over;

	pthread_mutex_lock(&pull->lock);
	stop = pull->stop;
	over = stop && (pull->stats.under_way == 0 || pull_now_ns() >= pull->stop_ns);
	pthread_mutex_unlock(&pull->lock);
	if (stop)
		pull_windows_stop(pull);
	return over;
}

static void *run(void *arg)
{
	struct pull *pull = arg;

	while (!is_over(pull)) {
		int64_t ns = step(pull);

		wait_ns(pull, pull_is_stopping(pull) ? min(ns, 10000000) : ns);
	}
	MHD_run(pull->daemon); /* resumes what still has to */
	__atomic_store_n(&pull->listener, -1, __ATOMIC_RELAXED);
	MHD_stop_daemon(pull->daemon);
	pull_consumers_close(pull);
	return NULL;
}

/* Start. */

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_pull_start: %s", what);
	return -EINVAL;
}

/* A file, terminated. NULL, logged. */
static char *read_pem(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = file != NULL ? calloc(1, PEM_MAX) : NULL;

	if (text == NULL || fread(text, 1, PEM_MAX - 1, file) == 0) {
		rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_pull_start: %s: %s", path,
		            file == NULL ? strerror(errno) : "nothing can be read");
		free(text);
		text = NULL;
	}
	if (file != NULL)
		(void)fclose(file);
	return text;
}

static struct MHD_Daemon *start_daemon(struct pull *pull, char *certificate, char *key)
{
	const bool tls = pull->config.tls_key_file != NULL;
	const struct MHD_OptionItem of_tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (tls ? MHD_USE_TLS : 0), 0, NULL, NULL,
		pull_request_handle, pull, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)pull->listener,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)pull->config.connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
		MHD_OPTION_NOTIFY_CONNECTION, pull_connection_notify, pull,
		MHD_OPTION_NOTIFY_COMPLETED, pull_request_completed, pull,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls ? of_tls : none,
		MHD_OPTION_END);
}

static int open_daemon(struct pull *pull)
{
	const struct rpcprof_pull_config *config = &pull->config;
	char *certificate = NULL, *key = NULL;

	if (config->tls_key_file != NULL) {
		certificate = read_pem(config->tls_certificate_file);
		key = read_pem(config->tls_key_file);
	}
	if (config->tls_key_file == NULL || (certificate != NULL && key != NULL))
		pull->daemon = start_daemon(pull, certificate, key);
	if (key != NULL)
		explicit_bzero(key, PEM_MAX);
	free(key);
	free(certificate);
	if (pull->daemon == NULL)
		return refuse(config->tls_key_file != NULL
		                      ? "no HTTPS: is it a certificate with its key, in PEM format?"
		                      : "libmicrohttpd does not start");
	pull->epoll = MHD_get_daemon_info(pull->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	return 0;
}

static int open_sockets(struct pull *pull)
{
	pull->listener = pull_listen(&pull->config, &pull->host);
	if (pull->listener < 0)
		return pull->listener;
	pull_name(pull->listener, pull->config.tls_key_file != NULL, pull->stats.url,
	          sizeof(pull->stats.url));
	pull->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pull->wake < 0)
		return -errno;
	return 0;
}

static struct pull *make(const struct rpcprof_pull_config *config)
{
	struct pull *pull = calloc(1, sizeof(*pull));

	if (pull == NULL)
		return NULL;
	pull->listener = pull->wake = -1;
	for (uint32_t i = 0; i < PULL_CONNECTIONS_MAX; i++)
		pull->connections[i].file = -1;
	pthread_mutex_init(&pull->lock, NULL);
	pull->config = *config;
	return pull;
}

static void free_pull(struct pull *pull)
{
	if (pull->wake >= 0)
		close(pull->wake);
	pthread_mutex_destroy(&pull->lock);
	pull_config_free(&pull->config);
	free(pull->host);
	free(pull);
}

static int open_all(struct pull *pull)
{
	struct rpcprof_config core = {.size = sizeof(core)};
	int error = pull_config_own(&pull->config);

	if (error == 0)
		error = rpcprof_get_config(&core);
	if (error == 0)
		error = rpcprof_profiles_ensure();
	if (error == 0)
		error = open_sockets(pull);
	if (error == 0)
		error = open_daemon(pull);
	if (error == 0)
		rpcprof_pace_open(&pull->pace, core.capacity, pull_now_ns());
	return error;
}

static void stop_at_fini(void)
{
	(void)rpcprof_pull_stop(FINI_MS);
}

static int start(struct pull *pull)
{
	int error = open_all(pull);

	if (error != 0) {
		if (pull->listener >= 0)
			close(pull->listener);
		return error;
	}
	rpcprof_collector_begin();
	running = pull;
	error = rpcprof_thread_start(&pull->thread, "rpcprof-http", run, pull);
	if (error != 0) {
		running = NULL;
		rpcprof_collector_end();
		MHD_stop_daemon(pull->daemon);
		return error;
	}
	if (!fini_knows)
		fini_knows = rpcprof_at_fini(stop_at_fini) == 0;
	return 0;
}

int rpcprof_pull_start(const struct rpcprof_pull_config *config)
{
	struct rpcprof_pull_config full;
	int error = pull_complete(&full, config);
	struct pull *pull;

	if (error != 0)
		return error;
	pull_watch_forks();
	pthread_mutex_lock(&lifecycle);
	error = -EALREADY;
	if (running == NULL) {
		pull = make(&full);
		error = pull != NULL ? start(pull) : -ENOMEM;
		if (error != 0 && pull != NULL)
			free_pull(pull);
	}
	pthread_mutex_unlock(&lifecycle);
	return error;
}

/* Stop. */

static int stop(struct pull *pull, uint32_t timeout_ms)
{
	const uint64_t one = 1;
	uint64_t cut;

	pthread_mutex_lock(&pull->lock);
	pull->stop = true;
	pull->stop_ns = pull_now_ns() + timeout_ms * INT64_C(1000000);
	cut = pull->stats.cut;
	pthread_mutex_unlock(&pull->lock);
	(void)!write(pull->wake, &one, sizeof(one));
	pthread_join(pull->thread, NULL);
	rpcprof_collector_end();
	running = NULL;
	last = pull->stats;
	cut = last.cut - cut;
	free_pull(pull);
	return cut != 0 ? -ETIMEDOUT : 0;
}

int rpcprof_pull_stop(uint32_t timeout_ms)
{
	int error = 0;

	pthread_mutex_lock(&lifecycle);
	if (running != NULL)
		error = stop(running, timeout_ms);
	pthread_mutex_unlock(&lifecycle);
	return error;
}

void pull_child(void)
{
	pthread_mutex_init(&lifecycle, NULL);
	memset(&last, 0, sizeof(last));
	if (running == NULL)
		return;
	pull_forget(running);
	running->next = inherited;
	inherited = running;
	running = NULL;
}

int rpcprof_pull_get_stats(struct rpcprof_pull_stats *stats)
{
	struct rpcprof_pull_stats now;
	size_t size = stats->size;

	if (size < sizeof(size) || size > sizeof(now))
		return -EINVAL;
	pthread_mutex_lock(&lifecycle);
	now = last;
	if (running != NULL) {
		pthread_mutex_lock(&running->lock);
		now = running->stats;
		pthread_mutex_unlock(&running->lock);
	}
	now.running = running != NULL;
	pthread_mutex_unlock(&lifecycle);
	now.size = size;
	memcpy(stats, &now, size);
	return 0;
}
