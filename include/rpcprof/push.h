/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PUSH_H
#define RPCPROF_PUSH_H

/*
 * Profiles to servers: Pyroscope and what speaks its protocols, Parca, autopgo, or a sink of your own.
 *
 *     struct rpcprof_push_config server = {.size = sizeof(server), .url = "http://localhost:4040"};
 *     struct rpcprof_push *push;
 *
 *     rpcprof_push_open(&push, &server);
 *     ... .on_window = rpcprof_push_window, .on_window_arg = push in rpcprof_exporter_start() ...
 *     rpcprof_exporter_stop();
 *     rpcprof_push_close(push, 5000);
 *
 * One thread and one bounded queue for each. Whoever gives it a profile never waits: if the queue is
 * full the oldest goes to the spool, or is dropped and counted. Any pprof profile can be sent, not
 * only those of rpcprof.
 *
 * Of librpcprof-export, if it was built with RPCPROF_PUSH (libcurl).
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/export.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rpcprof_push;

#define RPCPROF_PUSH_LABELS_MAX 16
#define RPCPROF_PUSH_HEADERS_MAX 8

/** A profile on its way. */
struct rpcprof_session {
	int64_t begin_ns; /* UTC, nanoseconds since 1970 */
	int64_t end_ns;
	const uint8_t *bytes; /* pprof, gzipped or not */
	size_t length;
	const struct rpcprof_label *labels; /* __name__ and service_name come first, in this order */
	size_t label_count;
};

/** What became of a session. */
enum rpcprof_delivery {
	RPCPROF_DELIVERED = 0,
	RPCPROF_NOT_NOW = 1,  /* it is not there: to be sent again */
	RPCPROF_REFUSED = 2,  /* it is not there and never will be */
	RPCPROF_UNCERTAIN = 3 /* it may be there */
};

/** What a sink says beside that. */
struct rpcprof_reply {
	uint32_t status;        /* of HTTP, or what that of gRPC is there; 0: none */
	uint32_t retry_after_s; /* not before that; 0: as the queue sees fit */
	char message[240];      /* for people */
};

/** Where sessions go. */
struct rpcprof_sink {
	size_t size; /* sizeof(struct rpcprof_sink) */
	/** Sends one session, borrowed. On the queue's thread. */
	enum rpcprof_delivery (*send)(void *arg, const struct rpcprof_session *session,
	                              struct rpcprof_reply *reply);
	/** A send that goes on is to end soon, RPCPROF_NOT_NOW. On any thread; NULL: it cannot. */
	void (*interrupt)(void *arg);
	/** The last call; NULL: nothing to do. */
	void (*close)(void *arg);
};

/** How the server at a URL is spoken to. */
enum rpcprof_push_protocol {
	RPCPROF_PUSH_PYROSCOPE = 0, /* push.v1.PusherService/Push: Pyroscope 1.0, Alloy 1.7 */
	RPCPROF_PUSH_INGEST = 1,    /* POST /ingest, raw pprof: the same */
	RPCPROF_PUSH_INGEST_FORM = 2, /* POST /ingest with sample_type_config: Pyroscope 0.x too */
	RPCPROF_PUSH_AUTOPGO = 3,     /* POST /api/profile/<application> */
	RPCPROF_PUSH_PARCA = 4        /* ProfileStoreService/WriteRaw, by gRPC: Parca */
};

/** What rpcprof_push_open() takes. Set size and url or sink, leave the rest 0 for the defaults. */
struct rpcprof_push_config {
	size_t size;             /* sizeof(struct rpcprof_push_config) */
	const char *url;         /* "http://host:4040", "https://host/prefix"; no user or password */
	const char *application; /* label service_name; default: the program's file name */
	uint32_t protocol;       /* enum rpcprof_push_protocol */
	uint32_t retry_uncertain; /* 1: send again what may have arrived: it may count twice */
	const struct rpcprof_label *labels; /* of everything sent */
	size_t label_count;                 /* at most RPCPROF_PUSH_LABELS_MAX */
	/* Instead of a URL: */
	const struct rpcprof_sink *sink;
	void *sink_arg;
	/* HTTP: */
	const char *basic_user;
	const char *basic_password;
	const char *bearer_file; /* holds the token; read for every request, so it may change */
	const char *tenant;      /* X-Scope-OrgID */
	const char *headers[RPCPROF_PUSH_HEADERS_MAX]; /* more, "Name: value" */
	const char *ca_file;     /* instead of the system's */
	const char *cert_file;   /* ours, PEM, and its key */
	const char *key_file;
	uint32_t connect_timeout_ms; /* default 5000 */
	uint32_t timeout_ms;         /* of a request; default 10000 */
	/* The queue: */
	uint32_t queue_sessions; /* default 64 */
	uint32_t queue_bytes;    /* default 4 MiB */
	uint32_t backoff_min_ms; /* default 1000. The n-th pause after failures is random, */
	uint32_t backoff_max_ms; /* at most min * 2^n; default 60000 */
	uint32_t jitter_ms;      /* a session waits up to that before it is sent, at most half its
	                          * window; default 5000 */
	uint32_t max_age_s;      /* older ones are dropped; default 3300: servers refuse an hour */
	/* What servers take at once. A profile of more is sent in parts; of more than that, its
	 * smallest samples become one, "other": */
	uint32_t profile_bytes;   /* uncompressed; default 1.75 MiB */
	uint32_t profile_samples; /* default 15000 */
	uint32_t profile_parts;   /* default 4 */
	/* For what the queue does not hold, and what is left at the end: */
	const char *spool;     /* directory, made if missing; several processes may share it */
	uint64_t spool_bytes;  /* the oldest go beyond it; default 64 MiB */
	uint32_t label_values; /* so many different ones, of all labels, are sent in a process's
	                        * life; those that come later become "other": servers keep a series
	                        * for each. Default 256 */
};

/**
 * From now on what it is given is sent, by a thread, until rpcprof_push_close().
 *
 * Connects to nobody yet. A proxy is taken from the environment as curl does. What the spool has of
 * earlier processes is sent when the queue is empty, newest first, over as long as the outage was,
 * adjacent windows of equal labels as one as far as servers take it. In a forked child it is as if
 * closed; the parent's connection is not disturbed.
 *
 * @param push    the caller's, unchanged on error
 * @param config  copied, with its strings
 * @return        0 or a negative errno
 *
 * Threads:  any
 * Progress: blocking on files; allocates
 * Errors:   -EINVAL a field or label out of range (the log names it); -ENOMEM, -EAGAIN
 */
int rpcprof_push_open(struct rpcprof_push **push, const struct rpcprof_push_config *config);

/**
 * Takes a window of the exporter: its on_window. arg: from rpcprof_push_open(). Those of backends
 * too, by their names and labels.
 *
 * Threads:  any
 * Progress: as rpcprof_push_send()
 */
void rpcprof_push_window(void *arg, const struct rpcprof_window_profile *window);

/**
 * Takes any pprof profile.
 *
 * @param name     label __name__; NULL: "wall", as our own profiles
 * @param profile  copied; its unaggregated, name and labels are ignored
 * @param labels   beside those of the configuration, which they override
 * @return         0: it is in the queue; -EINVAL a label (the log names it); -E2BIG more than
 *                 queue_bytes; -ENOMEM; -ESRCH in a forked child. All but the last are counted
 *
 * Threads:  any
 * Progress: never waits for the server or the disk; allocates
 */
int rpcprof_push_send(struct rpcprof_push *push, const char *name,
                      const struct rpcprof_window_profile *profile,
                      const struct rpcprof_label *labels, size_t label_count);

/**
 * Sets a label of all that is taken from now on; value NULL: takes it away.
 *
 * @return  0; -EINVAL not a good label (the log says why); -ENOSPC there are
 *          RPCPROF_PUSH_LABELS_MAX; -ENOMEM; -ESRCH in a forked child, which has
 *          rpcprof_parent_set_label()
 *
 * Threads:  any
 * Progress: as rpcprof_push_send()
 */
int rpcprof_push_set_label(struct rpcprof_push *push, const char *name, const char *value);

/**
 * Sends what is in the queue now, without jitter.
 *
 * @return  0: the queue has been empty; -ETIMEDOUT: it is tried further; -ESRCH in a forked child
 *
 * Threads:  any
 * Progress: blocking on the server, timeout_ms at most
 */
int rpcprof_push_flush(struct rpcprof_push *push, uint32_t timeout_ms);

/**
 * As rpcprof_push_flush(), then ends the thread and frees everything; what could not be sent goes to
 * the spool or is lost. In a forked child it sends nothing, and frees what is memory alone: what
 * libcurl has stays, for it would say good-bye on the parent's connection; so does what the thread
 * was just making. A sink of the application's is not closed there.
 *
 * @param push  NULL is fine; the exporter must no longer use it
 * @return      0; -ETIMEDOUT: something was left
 *
 * Threads:  one
 * Progress: blocking on the server, timeout_ms and a moment; on the disk, if there is a spool
 */
int rpcprof_push_close(struct rpcprof_push *push, uint32_t timeout_ms);

/** What became of everything that was taken: taken + split + unspooled = sent + dropped_* + spooled +
 * merged + queued. */
struct rpcprof_push_stats {
	size_t size;    /* set by the caller: sizeof(struct rpcprof_push_stats) */
	uint64_t taken; /* by window and send, the refused ones too */
	uint64_t split; /* further parts of profiles that were too large */
	uint64_t sent;
	uint64_t sent_bytes; /* of pprof */
	uint64_t retried;    /* sends that failed and were or will be made again */
	uint64_t queued;       /* now */
	uint64_t queued_bytes; /* now */
	uint64_t dropped_full;      /* the queue or the spool was */
	uint64_t dropped_refused;   /* by the server */
	uint64_t dropped_uncertain; /* may have arrived */
	uint64_t dropped_old;       /* max_age_s */
	uint64_t dropped_invalid;   /* not pprof, a bad label, too large, no memory */
	uint64_t dropped_closed;    /* left at the end */
	uint64_t folded;    /* samples that became part of "other" */
	uint64_t labels_capped; /* values of labels that were sent as "other" */
	uint64_t spooled;   /* written to the spool */
	uint64_t unspooled; /* taken from it */
	uint64_t merged;    /* of those, what became part of another */
	uint64_t spool_errors;  /* could not be written: dropped_full or dropped_closed */
	uint64_t spool_damaged; /* files that are not whole, deleted */
	uint64_t spool_pruned;  /* files deleted for spool_bytes and max_age_s */
	uint64_t since_success; /* taken since the last that arrived */
	int64_t last_success_ns; /* UTC; 0: none yet */
	int64_t last_failure_ns;
	uint32_t last_status; /* of HTTP, at the last failure; 0: there was no answer */
	uint32_t reserved;
	char last_error[256]; /* a sentence for people, with the server's own words */
};

/**
 * @return  0; -EINVAL if stats->size is not known; -ESRCH in a forked child
 *
 * Threads:  any
 * Progress: as rpcprof_push_send()
 */
int rpcprof_push_get_stats(struct rpcprof_push *push, struct rpcprof_push_stats *stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
