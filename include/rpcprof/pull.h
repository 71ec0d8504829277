/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PULL_H
#define RPCPROF_PULL_H

/*
 * Profiles for who comes and asks: an HTTP endpoint for `go tool pprof`, Pyroscope, Alloy, Parca and
 * autopgo.
 *
 *     rpcprof_pull_start(NULL);    http://127.0.0.1:6060/debug/pprof/
 *     ...
 *     rpcprof_pull_stop(1000);
 *
 *     /debug/pprof/             an index of all this
 *     /debug/pprof/profile      of the next ?seconds=N, 30 if not said
 *     /debug/pprof/rpc          of everything so far, or of the next ?seconds=N
 *     /debug/pprof/delta_rpc    of the time since ?consumer=NAME came last
 *     /debug/pprof/goroutine    calls in flight
 *     /debug/rpcz               the last ?last=N calls: to browsers a page, else JSON; ?format=html,
 *                               json or table
 *     /metrics                  counters and latencies, for Prometheus
 *     /healthz                  "ok", without a token
 *
 * Any number may ask at once; each gets the difference of two snapshots of its own, and disturbs
 * neither the others nor a push. Profiles of ?seconds=N take recording that is on; &on=1 records for
 * that time alone, and takes permission to control. Nothing else changes anything.
 *
 * Who may: without tokens whoever is on this machine, who may control; with tokens their bearers, as
 * "Authorization: Bearer TOKEN" or as the password of Basic. Requests whose Host is neither
 * loopback, nor the address they came to, nor of the configuration, are refused: so no web page can
 * ask by a name of its own.
 *
 * One thread, rpcprof-http, all signals blocked. It collects too: without an exporter no call is
 * missed either, for as long as it runs.
 *
 * Of librpcprof-export, if it was built with RPCPROF_PULL (libmicrohttpd).
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/service.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_PULL_HOSTS_MAX 8

/** What rpcprof_pull_start() takes. Set size, leave the rest 0 for the defaults. */
struct rpcprof_pull_config {
	size_t size;         /* sizeof(struct rpcprof_pull_config) */
	const char *address; /* "HOST:PORT" or "[ADDRESS]:PORT"; port 0: one that is free. Default
	                      * "127.0.0.1:6060", where Go programs have theirs */
	struct rpcprof_tokens tokens;
	const char *hosts[RPCPROF_PULL_HOSTS_MAX]; /* names it is asked by, without port */
	const char *tls_certificate_file; /* PEM; NULL: plain HTTP */
	const char *tls_key_file;
	uint32_t insecure_plaintext_token; /* 1: tokens may travel unencrypted, where something
	                                    * else encrypts (a mesh) */
	uint32_t connections;    /* at one time, 1..256; default 32. Others wait */
	uint32_t seconds_max;    /* 1..3600; default 600. Who asks for more gets this */
	uint32_t empty_profiles; /* 1: kinds of profile that are not recorded are empty, not 404 */
};

/**
 * Profiles can be pulled from now on, until rpcprof_pull_stop().
 *
 * One endpoint per process. Leaves the switch as it is. Labels of profiles are those of the
 * exporter: start it before, if there are to be any. In a forked child there is none, the child's
 * copies of its sockets are closed, and it may start its own.
 *
 * @param config  NULL for the defaults; copied, with its strings
 * @return        0 or a negative errno; the log says what was tried and what to try
 *
 * Threads:  any
 * Progress: blocking on the kernel, and on files and name resolution if named; allocates
 * Errors:   -EALREADY one is running; -ENODEV before rpcprof_init(); -EINVAL a field out of range,
 *           an address off the machine without TLS or without tokens; -EADDRINUSE somebody listens
 *           there; -ENOMEM, -EAGAIN; what the kernel gave
 */
int rpcprof_pull_start(const struct rpcprof_pull_config *config);

/**
 * Nobody can pull any more: the thread has ended, all sockets are closed. Who waits for a window is
 * told so (503).
 *
 * @param timeout_ms  how long answers that are being sent may take
 * @return            0, also when none is running; -ETIMEDOUT: some were cut off
 *
 * Threads:  any
 * Progress: blocking on who asks, timeout_ms at most, and a moment; rpcprof_fini() calls it
 */
int rpcprof_pull_stop(uint32_t timeout_ms);

/** What the endpoint did since its start: requests = ok + refused + cut + under_way. */
struct rpcprof_pull_stats {
	size_t size;        /* set by the caller: sizeof(struct rpcprof_pull_stats) */
	uint64_t running;   /* 1 while its thread runs */
	uint64_t requests;
	uint64_t under_way; /* now */
	uint64_t ok;        /* answered with 200 */
	uint64_t ok_bytes;
	uint64_t refused;   /* answered with anything else; of these: */
	uint64_t bad_host;
	uint64_t unauthenticated;
	uint64_t denied;    /* permission to read only */
	uint64_t cut;       /* not answered, or not to the end: who asked hung up, was too slow, or the
	                     * endpoint was stopped */
	uint64_t too_slow;  /* connections closed for want of a request, or of reading the answer */
	uint64_t connections; /* now */
	uint64_t windows;     /* ?seconds=N under way now */
	uint64_t consumers;   /* names of ?consumer=NAME that are kept now */
	char url[128];        /* "http://127.0.0.1:41234"; "" before the first start */
};

/**
 * Reads what the endpoint did; what the last one did if none is running.
 *
 * @return  0; -EINVAL if stats->size is not known
 *
 * Threads:  any
 * Progress: blocking on rpcprof_pull_start() and rpcprof_pull_stop()
 */
int rpcprof_pull_get_stats(struct rpcprof_pull_stats *stats);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
