/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_EXPORT_H
#define RPCPROF_EXPORT_H

/*
 * From recorded calls to pprof profiles: on request, or by a thread, one per window of time.
 *
 * Every instant of a call belongs to exactly one stack: side, method, stages. So for every method
 * wall / calls is its mean latency, to the nanosecond. Sample types, in this order:
 *
 *   calls/count       1 per finished call, on the sample whose leaf is its method
 *   stages/count      how often a stage ran
 *   wall/nanoseconds  time
 *
 * A call that goes on for several windows gives each its part of wall; calls and stages count at
 * its end. Calls in profiles + unaggregated = calls made, always.
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/view.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** What a series of profiles is known by, on servers. */
struct rpcprof_label {
	const char *name;  /* [a-zA-Z_][a-zA-Z0-9_]*, not beginning with __; at most 256 bytes */
	const char *value; /* UTF-8 without control characters, 1..1024 bytes */
};

/** A window's profile. */
struct rpcprof_window_profile {
	int64_t begin_ns; /* UTC, nanoseconds since 1970 */
	int64_t end_ns;   /* begin plus its length by the monotonic clock */
	const uint8_t *bytes; /* gzipped pprof */
	size_t length;
	uint64_t unaggregated; /* calls that ended in it and are not in it */
	const char *name;      /* "wall": of calls; else a backend's (backend.h) */
	const struct rpcprof_label *labels; /* of a backend's, beside those of the server's */
	size_t label_count;
};

/** Receives a window's profile, borrowed until it returns. Never called for an empty window. On
 * the exporter's thread: the next window waits for it, recording does not. */
typedef void rpcprof_window_fn(void *arg, const struct rpcprof_window_profile *profile);

/** What rpcprof_exporter_start() takes. Set size, leave the rest 0 for the defaults. */
struct rpcprof_exporter_config {
	size_t size;           /* sizeof(struct rpcprof_exporter_config) */
	uint32_t interval_s;   /* length of a window, 1..86400; default 10. Windows begin at
	                        * multiples of it on the wall clock */
	uint32_t keep_switch;  /* 1: leave the switch as it is; default: turn recording on */
	const char *directory; /* write each window's profile there, made if missing; NULL: do not */
	uint32_t keep_files;   /* profiles to keep in the directory; default 360 */
	uint32_t sync;         /* 1: fsync each file before it gets its name */
	uint64_t keep_bytes;   /* of profiles to keep in the directory; default 256 MiB */
	rpcprof_window_fn *on_window; /* NULL: none */
	void *on_window_arg;
	uint64_t aggregate_bytes; /* the most memory that sums and histograms take; 256 KiB..4 GiB,
	                           * default 8 MiB. Beyond it calls go to "(other)", counted */
	uint32_t label_status; /* 1: label rpc_response_status_code. A label multiplies series */
	uint32_t label_method; /* 1: label rpc_method */
	const char *label_keys[RPCPROF_LABELS_MAX]; /* the Stats' own labels to show, by key */
};

/**
 * Calls are turned into profiles from now on, by one thread, until rpcprof_exporter_stop().
 *
 * One exporter per process. In a forked child there is none: start it there again. The thread is
 * named rpcprof-exp, blocks all signals, and wakes at least every second. The first window also has
 * the calls that ended before and still wait to be collected.
 *
 * @param config  NULL for the defaults; copied, with its strings
 * @return        0 or a negative errno
 *
 * Threads:  any
 * Progress: blocking on the kernel and on rpcprof_exporter_stop(); allocates
 * Errors:   -EALREADY one is running; -ENODEV before rpcprof_init(); -EINVAL a field out of range
 *           (the log names it); -ENOMEM, -EAGAIN no memory or thread to be had, nothing started
 */
int rpcprof_exporter_start(const struct rpcprof_exporter_config *config);

/**
 * Closes the last window, writes it, and ends the thread. Leaves the switch as it is.
 *
 * @return  0, also when none is running; -EDEADLK inside on_window
 *
 * Threads:  any
 * Progress: blocking on the thread, and so on on_window and the disk; rpcprof_fini() calls it
 */
int rpcprof_exporter_stop(void);

/**
 * Closes the window now: what has ended so far is in the directory when this returns.
 *
 * @param timeout_ms  how long to wait
 * @return            0; -ETIMEDOUT: the window will still be written; -ESRCH: none is running, in
 *                    a forked child for one; -EDEADLK inside on_window; or the error of writing
 *                    the file
 *
 * Threads:  any
 * Progress: blocking on the thread, timeout_ms at most
 */
int rpcprof_exporter_flush(uint32_t timeout_ms);

/**
 * In a forked child: as rpcprof_exporter_flush(), but the parent's window is closed.
 *
 * It has the parent's calls: a child's own are in the profiles of an exporter of its own. The
 * parent is the nearest ancestor whose exporter was running when it forked. That looks for requests
 * ten times a second; those that come meanwhile share a window. After exec() there is no parent.
 *
 * @param timeout_ms  how long to wait; with less than 200 the answer may come too late
 * @return            0; -ETIMEDOUT: the window may still be closed; -ESRCH: no ancestor's exporter
 *                    was running; -EPIPE: it has ended since, or the process has; -EPERM: this one
 *                    runs as another user than it; or the parent's error of writing the file
 *
 * Threads:  any
 * Progress: blocking on the parent, timeout_ms at most; allocates: never
 */
int rpcprof_parent_flush(uint32_t timeout_ms);

/**
 * In a forked child: sets a label of all that the parent's pushes take from now on, as
 * rpcprof_push_set_label() there on each that is open. The window that is open gets it too.
 *
 * @param value       NULL: takes it away
 * @param timeout_ms  as in rpcprof_parent_flush()
 * @return            as there; or of the parent's pushes the first error: -EINVAL not a good label
 *                    (its log says why), -ENOSPC, -ENOMEM; -ENOENT: none is open
 *
 * Threads:  any
 * Progress: as rpcprof_parent_flush()
 */
int rpcprof_parent_set_label(const char *name, const char *value, uint32_t timeout_ms);

/** What the exporter did since its start. */
struct rpcprof_exporter_stats {
	size_t size;           /* set by the caller: sizeof(struct rpcprof_exporter_stats) */
	uint64_t running;      /* 1 while its thread runs */
	uint64_t windows;      /* closed, empty ones too */
	uint64_t files;        /* written */
	uint64_t file_bytes;
	uint64_t pruned;       /* files deleted to keep to keep_files and keep_bytes */
	uint64_t write_errors; /* files that could not be written: their calls are in the next one */
	int64_t last_errno;    /* of the last error of a file or backend, positive; 0 = none yet */
	char last_error[256];  /* a sentence for people */
	/* Of the process since the first exporter or profile: */
	uint64_t calls;        /* aggregated */
	uint64_t unaggregated; /* displaced before they could be */
	uint64_t overflow;     /* calls and stages that found aggregate_bytes used up */
	uint64_t uncharged;    /* looks at calls in flight that must wait for their end for room */
	uint64_t negative;     /* ends before their begins, taken as 0 long */
	uint64_t series;       /* frames that have sums of their own */
	uint64_t label_sets;   /* times 3 sample types: series that a profile server sees */
	/* Of this exporter: */
	uint64_t reports;       /* profiles that backends handed over */
	uint64_t report_errors; /* windows of which a backend had none, for an error */
	uint64_t requests;      /* of forked children, run */
	uint64_t requests_refused; /* not whole, or of another user's process */
};

/**
 * Reads what the exporter did; what the last one did if none is running.
 *
 * @return  0; -EINVAL if stats->size is not known
 *
 * Threads:  any
 * Progress: blocking on the exporter's collections, a few ms
 */
int rpcprof_exporter_get_stats(struct rpcprof_exporter_stats *stats);

/**
 * A profile of all calls since the previous one of this function or rpcprof_profile_write(),
 * the parts of calls in flight included. Needs no exporter, does not disturb one.
 *
 * The first one has all calls that are still there; those that are not are its unaggregated. What
 * is collected stays in the dump.
 *
 * @param bytes   gzipped pprof; the caller's, to be given to free()
 * @param length  of it
 * @return        0; -ENODATA: no call since; -ENODEV before rpcprof_init(); -ENOMEM: the next
 *                profile will have those calls
 *
 * Threads:  any; they share the calls
 * Progress: blocking on one another; allocates
 */
int rpcprof_profile_encode(uint8_t **bytes, size_t *length);

/**
 * As rpcprof_profile_encode(), but into a file, whole or not at all.
 *
 * @return  as there, or the error of writing it: the next profile will have those calls
 */
int rpcprof_profile_write(const char *path);

/** The latency of a method, or of one of its stages, over all calls aggregated so far. */
struct rpcprof_latency {
	const char *side;   /* "server", "client" */
	const char *method; /* "/package.Service/Method" */
	const char *stage;  /* "/decode"; "" for the method itself */
	uint32_t depth;     /* 0 the method, 1 its stages, 2 their stages */
	uint32_t reserved;
	uint64_t count;
	uint64_t mean_ns;
	uint64_t p50_ns; /* within 1 % */
	uint64_t p90_ns;
	uint64_t p99_ns;
	uint64_t max_ns;
	uint64_t lost; /* of count: in mean and max, but not in the percentiles, for want of memory */
};

/** Receives one latency, borrowed; 0 to go on, anything else to stop. */
typedef int rpcprof_latency_fn(void *arg, const struct rpcprof_latency *latency);

/**
 * Delivers the latency of every method and stage; whole lengths, those of children included.
 *
 * A method comes before its stages. With labels there is one for each set of them.
 *
 * @return  how many were delivered; 0 before the first exporter or profile
 *
 * Threads:  any; not inside on_window's or its own callback
 * Progress: blocking on collections, and these on it
 */
int64_t rpcprof_latency_walk(rpcprof_latency_fn *fn, void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
