/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_BACKEND_H
#define RPCPROF_BACKEND_H

/*
 * Other profilers' profiles beside ours: they get to the same places, window by window.
 *
 * A backend is a table of functions that the exporter calls: initialize when it starts, report at
 * the end of each window, shutdown when it has stopped. What a report hands over gets into the
 * exporter's directory, in files of the backend's name, and to on_window, and so to servers.
 * Profiles of calls are one such table; `rpcprof_backend_gperftools()` is another.
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/export.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_BACKENDS_MAX 8

/** The window that a backend is to report. */
struct rpcprof_report {
	int64_t begin_ns; /* UTC, nanoseconds since 1970 */
	int64_t end_ns;
	void *to; /* the exporter's */
};

/** Where profiles come from. */
struct rpcprof_backend {
	size_t size;      /* sizeof(struct rpcprof_backend) */
	const char *name; /* [a-z][a-z0-9_]*, 32 at most, not "rpc" or "wall": its files' name, and
	                   * label __name__ of its profiles if they have none */
	void *arg;
	/** It begins to gather. 0, or a negative errno: the exporter does not start. NULL: nothing
	 * to do. */
	int (*initialize)(void *arg);
	/** Hands over what came since the last call (rpcprof_report_give()), if anything, and clears
	 * it. 0, or a negative errno, which is logged and counted. */
	int (*report)(void *arg, const struct rpcprof_report *report);
	/** It stops to gather; after the last report. NULL: nothing to do. */
	void (*shutdown)(void *arg);
};

/**
 * The exporters that are started from now on have this one's profiles too.
 *
 * initialize and shutdown are called by whoever starts and stops the exporter, report on its
 * thread: the next window waits for it, recording does not. In a forked child, which has no
 * exporter, nothing is called until one is started there.
 *
 * @param backend  borrowed until rpcprof_backend_remove()
 * @return         0; -EINVAL a field out of range (the log names it); -EEXIST one of that name is
 *                 there; -ENOSPC there are RPCPROF_BACKENDS_MAX; -EBUSY an exporter is running;
 *                 -EDEADLK inside a report or on_window
 *
 * Threads:  any
 * Progress: blocking on rpcprof_exporter_start() and rpcprof_exporter_stop()
 */
int rpcprof_backend_add(const struct rpcprof_backend *backend);

/** Takes a backend away. 0; -ENOENT it is not there; -EBUSY and -EDEADLK as above. */
int rpcprof_backend_remove(const struct rpcprof_backend *backend);

/**
 * Hands a profile of a backend over. Inside its report only, any number of times.
 *
 * @param profile  borrowed: pprof of any types, gzipped or not. begin_ns and end_ns 0: those of
 *                 the window; name NULL: the backend's
 * @return         0; -EINVAL: the name is none that a backend could have; or the error of writing
 *                 it to the directory, after which on_window had it nevertheless
 */
int rpcprof_report_give(const struct rpcprof_report *report,
                        const struct rpcprof_window_profile *profile);

/**
 * The CPU profiler of gperftools, for programs that are linked to it (-lprofiler): a backend named
 * "process_cpu", with samples/count and cpu/nanoseconds, functions by name where the dynamic linker
 * knows them (-rdynamic), else by address.
 *
 * Nothing else may use that profiler meanwhile. Its rate is CPUPROFILE_FREQUENCY, 100 Hz.
 *
 * @return  never NULL; its initialize fails with -ENOTSUP where the program has no gperftools,
 *          -EBUSY where that is profiling already
 */
const struct rpcprof_backend *rpcprof_backend_gperftools(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
