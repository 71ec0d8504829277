/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PULL_INTERNAL_H
#define RPCPROF_PULL_INTERNAL_H

/*
 * pull.c             start, stop, the thread
 * pull_config.c      what may be configured
 * pull_address.c     the listening socket
 * pull_fork.c        what a forked child closes
 * pull_connection.c  connections: how many, for how long
 * pull_request.c     one request: who may, what is asked, its answer on its way
 * pull_host.c        whether a Host header may be one of ours
 * pull_query.c       headers, and what stands after the "?"
 * pull_paths.c       the paths
 * pull_window.c      requests that wait for the end of their ?seconds=N
 * pull_consumer.c    ?consumer=NAME
 * pull_inflight.c    calls in flight as a profile
 * pull_answer.c      answers
 *
 * libmicrohttpd is run by our thread alone (pull.c), by its external event loop: so all but what the
 * header says of `lock` is that thread's.
 */
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "export/exporter_internal.h"
#include "export/pprof_internal.h"
#include "export/waits_internal.h"
#include "rpcprof/pull.h"

#define PULL_CONNECTIONS_MAX 256
#define PULL_CONSUMERS_MAX 16
#define PULL_NEVER INT64_MAX

/* Times that tests shorten. */
extern int64_t pull_receive_ns; /* for a request, from the begin of its connection */
extern int64_t pull_send_ns;    /* for an answer, and then for the next request */
extern int64_t pull_idle_ns;    /* a consumer that does not come is forgotten after it */

/* A connection, from its accept to its close. */
struct pull_connection {
	int file;         /* atomic, for a forked child to close; -1: none */
	int64_t until_ns; /* monotonic: then it is shut down */
};

struct pull_consumer {
	char name[64]; /* "": free */
	struct rpcprof_period *period;
	int64_t seen_ns;
	bool busy; /* an answer to it is on its way */
};

struct pull_request;

/* A request whose profile is not over; its connection is suspended. */
struct pull_window {
	struct pull_request *request;
	struct rpcprof_period *period;
	struct rpcprof_waits_look *since; /* of a profile of waits; then there is no period */
	int64_t until_ns;
	bool holds_switch;
	struct pull_window *next;
};

struct pull {
	/* Not changed after the start: */
	struct rpcprof_pull_config config; /* complete; its strings are copies */
	char *host; /* of config.address */
	struct MHD_Daemon *daemon;
	int epoll; /* of the daemon, which owns it */
	int wake;  /* an eventfd */
	pthread_t thread;
	struct pull *next; /* of those that a forked child inherited */

	int listener; /* atomic; -1: closed */
	struct pull_connection connections[PULL_CONNECTIONS_MAX];
	struct pull_consumer consumers[PULL_CONSUMERS_MAX];
	struct pull_window *windows;
	struct rpcprof_pace pace;
	int64_t collect_ns;   /* when to collect next */
	int64_t collected_ns; /* when it did, as the collector says */
	int64_t wait_ns;      /* from one to the next */

	pthread_mutex_t lock; /* guards these */
	bool stop;
	int64_t stop_ns; /* when to wait no longer */
	struct rpcprof_pull_stats stats;
};

int64_t pull_now_ns(void); /* monotonic */
void pull_count(struct pull *pull, uint64_t *counter, int64_t by);
bool pull_is_stopping(struct pull *pull);

/* Configuration, complete and checked; nothing is copied. 0 or -EINVAL, logged. */
int pull_complete(struct rpcprof_pull_config *full, const struct rpcprof_pull_config *config);
/* Copies the strings that a configuration points at. 0 or -ENOMEM. */
int pull_config_own(struct rpcprof_pull_config *config);
void pull_config_free(struct rpcprof_pull_config *config);

/* The listening socket of a configuration; *host: the host of its address. A negative errno, logged. */
int pull_listen(const struct rpcprof_pull_config *config, char **host);
/* "http://127.0.0.1:6060" */
void pull_name(int listener, bool tls, char *out, size_t room);

void pull_watch_forks(void);
/* What a forked child closes as numbers. */
void pull_forget(struct pull *pull);
/* The running one, for the child; under its own rules (pull.c). */
void pull_child(void);

/* libmicrohttpd's callbacks. */
void pull_connection_notify(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code);
enum MHD_Result pull_request_handle(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_length, void **context);
void pull_request_completed(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_RequestTerminationCode code);

/* Shuts down what is too slow. Returns when to look again. */
int64_t pull_connections_expire(struct pull *pull, int64_t now_ns);

struct pull_answer {
	unsigned status; /* of HTTP; 0: none, the connection is closed */
	const char *type;
	bool attachment;
	const char *policy; /* Content-Security-Policy; NULL: it is no page */
	uint8_t *bytes;  /* malloc'ed */
	size_t length;
};

/* A sentence, for errors above all. */
__attribute__((format(printf, 3, 4))) void pull_say(struct pull_answer *answer, unsigned status,
                                                    const char *format, ...);
/* A profile, which it takes; or what went wrong with it: a negative errno. */
void pull_give(struct pull_answer *answer, int error, struct rpcprof_profile *profile);
/* Bytes of malloc, which it takes; NULL: no memory. */
void pull_give_bytes(struct pull_answer *answer, const char *type, char *bytes, size_t length);
/* The same of HTML; active: it has scripts and styles in it. */
void pull_give_page(struct pull_answer *answer, char *bytes, size_t length, bool active);
enum MHD_Result pull_answer_send(struct pull_answer *answer, struct MHD_Connection *connection);

struct pull_request {
	struct pull *pull;
	struct MHD_Connection *connection;
	struct pull_connection *slot;
	enum rpcprof_permission permission;
	struct pull_answer answer;
	struct pull_window *window;     /* it waits for this */
	struct pull_consumer *consumer; /* it answers this one; */
	struct rpcprof_profile profile; /* what it took, to be put back if it does not arrive */
	bool decided; /* there is an answer or a window */
};

/* A path. */
struct pull_path {
	const char *path;
	const char *help; /* in the index; NULL: not there */
	bool open;        /* to everybody */
	/* Makes request->answer, or opens request->window. */
	void (*ask)(struct pull_request *request);
};

const struct pull_path *pull_path_find(const char *path);

/* Whether a Host header names this machine: loopback, `local`, the address that the connection came
 * to, or one of `names`, NULL the last. */
bool pull_host_is_ours(const char *host, const struct sockaddr *local, const char *const *names);
/* The host of a "HOST:PORT" or "[ADDRESS]:PORT", or without the port. */
bool pull_host_split(const char *text, char *host, size_t room);
bool pull_is_loopback(const struct sockaddr *address);

/* The value of a header; NULL: not there. */
const char *pull_header(const struct pull_request *request, const char *name);
/* The value of an argument; NULL: not there. */
const char *pull_argument(const struct pull_request *request, const char *name);
/* A count 1..max; `absent` if it is not there. False: no good, and said so. */
bool pull_argument_count(struct pull_request *request, const char *name, uint32_t max,
                         uint32_t absent, uint32_t *count);
/* Seconds as people and strconv.FormatFloat write them. False: not above 0, or no number. */
bool pull_parse_seconds(const char *text, double *seconds);

/* Answers at the end of ?seconds=N, or at once with an error. absent: 0 or what stands for a missing
 * one. False: there is none, and none stands for it. */
bool pull_window_ask(struct pull_request *request, double absent);
/* The same of waits, where nothing stands for a missing one. */
bool pull_window_ask_waits(struct pull_request *request, enum rpcprof_waits kind);
/* Ends those whose time has come. Returns when to look again. */
int64_t pull_windows_finish(struct pull *pull, int64_t now_ns);
/* Adds what to wait for: a scraper that hangs up. */
size_t pull_windows_poll(const struct pull *pull, struct pollfd *polls);
void pull_windows_polled(struct pull *pull, const struct pollfd *polls);
/* All end, unfinished. */
void pull_windows_stop(struct pull *pull);

/* ?consumer=NAME */
void pull_consumer_ask(struct pull_request *request);
/* The answer has arrived, or not. */
void pull_consumer_done(struct pull_request *request, bool arrived);
void pull_consumers_close(struct pull *pull);

/* The calls in flight, type goroutine/count. 0 or a negative errno. */
int pull_inflight_profile(struct rpcprof_profile *profile);

/* A profile without samples. 0 or -ENOMEM. */
int pull_empty_profile(const struct rpcprof_pprof_type *types, size_t count,
                       struct rpcprof_profile *profile);

#endif
