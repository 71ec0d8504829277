/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPC_SERVICE_H
#define RPCPROF_GRPC_SERVICE_H

/*
 * The Profiling services (service.h) on gRPC core: at a private address, or on a server of yours.
 *
 *     rpcprof_grpc_service_open(NULL, &service);    a Unix socket that only this user can reach
 *     rpcprof_grpc_server_start(server, NULL, &service);   in place of grpc_server_start(server)
 *
 * Who may: off the machine nobody, unless tokens were set.
 *
 *     at a private Unix socket    this user and root; they may control, and need no token
 *     at a private TCP address    without tokens only loopback is taken, and whoever is on the
 *                                 machine may control; with tokens, their bearers. Other addresses
 *                                 take TLS and tokens
 *     on a server of yours        without tokens, peers at loopback and Unix sockets may control,
 *                                 and nobody else: behind a proxy on the same machine all peers
 *                                 look like that, so set tokens. With tokens, their bearers, over
 *                                 TLS if they come from elsewhere
 *
 * A token is sent as metadata "authorization: Bearer TOKEN".
 *
 * One thread of ours answers, rpcprof-ctl, and one accepts at a private address, rpcprof-accept; all
 * signals are blocked in both. Calls to the services are not recorded. A reader that takes no
 * message for 30 s is cut off.
 */
#include <grpc/grpc.h>

#include "rpcprof/service.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** The services at one address, or on one server. */
struct rpcprof_grpc_service;

/** How to serve. Set size, leave the rest 0 for the defaults. */
struct rpcprof_grpc_service_config {
	size_t size; /* sizeof(struct rpcprof_grpc_service_config) */

	/* Private: where. NULL: a Unix socket of a name that nobody can guess, in the directory
	 * rpcprof of $XDG_RUNTIME_DIR, or /tmp/rpcprof-UID. Else "unix:PATH",
	 * "unix-abstract:NAME", "HOST:PORT" or "[ADDRESS]:PORT"; port 0 is one that is free. */
	const char *address;

	struct rpcprof_tokens tokens;
	uint32_t answer_max; /* as struct rpcprof_service_request */

	/* 1: tokens may travel unencrypted, where something else encrypts (a mesh). */
	uint32_t insecure_plaintext_token;

	/* Private TCP: files in PEM format. With a CA, clients have to show a certificate of it. */
	const char *tls_certificate_file;
	const char *tls_key_file;
	const char *tls_client_ca_file;
};

/**
 * The services are reached at an address of their own.
 *
 * Holds a reference to gRPC core (grpc_init()) until rpcprof_grpc_service_stop(). A socket in the
 * file system has mode 0600 whatever the umask, in a directory that is this user's alone: one that
 * others may enter is not taken. What is already at the path is left alone.
 *
 * @param config  NULL for the defaults; borrowed for the call
 * @param service out; untouched on error
 * @return        0 or a negative errno; the log says what was tried and what to try
 *
 * Threads:  any
 * Progress: blocking on the kernel and on gRPC core; allocates
 * Errors:   -ENODEV before rpcprof_init(); -EINVAL size, an address or a token of the wrong form, an
 *           address off the machine without TLS or without tokens; -EADDRINUSE somebody listens
 *           there; -EEXIST a socket that nobody listens at is in the way; -EPERM something of
 *           another user's, or no socket, is in the way, or the directory is open to others;
 *           -ENAMETOOLONG a path longer than a socket's can be; -ENOMEM; what the kernel gave
 */
int rpcprof_grpc_service_open(const struct rpcprof_grpc_service_config *config,
                              struct rpcprof_grpc_service **service);

/**
 * A server of yours starts, and serves the Profiling services beside its own.
 *
 * In place of grpc_server_start(), at the same moment. If it fails the server has not started: call
 * grpc_server_start() to go on without. Stop the service after grpc_server_shutdown_and_notify():
 * core gives back what waits for calls no earlier. Its calls end by themselves then.
 *
 * @param config  as there, but address and TLS files are not used
 * @return        0 or a negative errno: -EEXIST the server has these methods already; others as
 *                rpcprof_grpc_service_open()
 *
 * Threads:  as grpc_server_start()
 */
int rpcprof_grpc_server_start(grpc_server *server,
                              const struct rpcprof_grpc_service_config *config,
                              struct rpcprof_grpc_service **service);

/** Where it is reached, as gRPC clients take it: "unix:/tmp/rpcprof-0/...", "127.0.0.1:41234"; ""
 * for a server of yours. Valid until rpcprof_grpc_service_stop(). */
const char *rpcprof_grpc_service_address(const struct rpcprof_grpc_service *service);

/**
 * The service is over: its calls are cancelled, its threads have ended, its socket is removed, its
 * reference to gRPC core is given back, and the memory is free.
 *
 * May come before or after the program's own grpc_shutdown(), and from atexit().
 *
 * @param timeout_ms  how long to wait
 * @return            0; -ETIMEDOUT: it is still there, and may be stopped again. On a server of
 *                    yours: that was not shut down yet
 *
 * Threads:  one; service NULL is fine
 * Progress: blocking on its threads, timeout_ms at most, and on gRPC core
 */
int rpcprof_grpc_service_stop(struct rpcprof_grpc_service *service, uint32_t timeout_ms);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
