/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SERVICE_H
#define RPCPROF_SERVICE_H

/*
 * The Profiling services, whatever carries them: the path of a method and the bytes of its request
 * in, a status and the bytes of its answers out.
 *
 *     rpcprof.v1.Profiling              proto/rpcprof/v1/profiling.proto
 *     grpc.go.profiling.v1alpha.Profiling   proto/grpc_go_profiling.proto, what the profiling
 *                                           command of grpc-go speaks to
 *
 * Of librpcprof-export; knows no transport. rpcprof/grpc_service.h serves them on gRPC core. For
 * another transport:
 *
 *     error = rpcprof_service_begin(&call, &request);
 *     while ((more = rpcprof_service_next(call, &bytes, &length)) != 0)
 *         if (more == -EAGAIN)
 *             ... ask again in rpcprof_service_wait_ns(call) ...
 *         else
 *             ... send the bytes ...
 *     code = rpcprof_service_status(call, &message);
 *     ... send them ...
 *     rpcprof_service_end(call, all_was_sent);
 *
 * Bounded, whoever asks and however: a request to 16 KiB, a message of an answer to answer_max,
 * requests to 16 at a time and 100 in a second. What is held for those who do not come back, at
 * most 16 MiB, is said at the functions. Nothing here waits for whoever reads the answers, nor
 * does recording wait for anything here.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** What an asker may do; each includes the one before. */
enum rpcprof_permission {
	RPCPROF_MAY_NOTHING = 0,
	RPCPROF_MAY_READ = 1,   /* Status, Snapshot, InFlight, Profile */
	RPCPROF_MAY_CONTROL = 2 /* Enable, and to take calls out: Drain, GetStreamStats */
};

#define RPCPROF_TOKEN_MIN 16
#define RPCPROF_TOKEN_MAX 256
#define RPCPROF_ANSWER_MAX_DEFAULT ((4u << 20) - (64u << 10)) /* what gRPC clients take unasked */
#define RPCPROF_ANSWER_MAX_LEAST (256u << 10)

/** Secrets, each RPCPROF_TOKEN_MIN to RPCPROF_TOKEN_MAX bytes; NULL: nobody has that permission by
 * a token. */
struct rpcprof_tokens {
	const char *read;
	const char *control;
};

/**
 * What the bearer of a token may do.
 *
 * Takes the same time for every token, right or wrong.
 *
 * @param tokens  borrowed for the call
 * @param token   what the asker sent, not terminated; NULL: nothing
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
enum rpcprof_permission rpcprof_tokens_check(const struct rpcprof_tokens *tokens,
                                             const char *token, size_t bytes);

/**
 * Whether tokens are of the form that they are to have; the log says what is not.
 *
 * @return  0; -EINVAL: one is too short or too long, or both are the same
 *
 * Threads:  any
 * Progress: as the log's
 */
int rpcprof_tokens_validate(const struct rpcprof_tokens *tokens);

/** Who asks, as gRPC knows it. Borrowed. */
struct rpcprof_peer {
	const char *address; /* as gRPC writes it: "ipv4:127.0.0.1:58768", "unix:" */
	const char *token;   /* from rpcprof_bearer_token(), not terminated; NULL: none */
	size_t token_bytes;
	uint32_t encrypted;  /* 1: nobody in between can read the token */
};

/**
 * What somebody may do who asks on a server of the program's own: without tokens, peers on this
 * machine may control and others nothing; with tokens, their bearers, who have to come encrypted if
 * not from this machine.
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
enum rpcprof_permission rpcprof_peer_check(const struct rpcprof_tokens *tokens,
                                           const struct rpcprof_peer *peer);

/**
 * The token in the value of metadata `authorization`: what is behind "Bearer ".
 *
 * @param value  not terminated
 * @param bytes  the value's length, then the token's; untouched if there is none
 * @return       into value; NULL: another scheme
 */
const char *rpcprof_bearer_token(const char *value, size_t *bytes);

/** A request. Set size; borrowed until rpcprof_service_begin() returns. */
struct rpcprof_service_request {
	size_t size;          /* sizeof(struct rpcprof_service_request) */
	const char *method;   /* "/package.Service/Method", not terminated */
	size_t method_bytes;
	const void *bytes;    /* the message */
	size_t length;
	uint32_t permission;  /* enum rpcprof_permission of who asks */
	uint32_t answer_max;  /* bytes of a message that the asker takes; at least
	                       * RPCPROF_ANSWER_MAX_LEAST; 0: RPCPROF_ANSWER_MAX_DEFAULT */
};

/** A request that is being answered. */
struct rpcprof_service_call;

/**
 * A request is being answered; what is wrong with it, its status will say.
 *
 * @param call  out; the caller's until rpcprof_service_end()
 * @return      0; -EINVAL: size or answer_max out of range; -ENOMEM; *call untouched then
 *
 * Threads:  any; a call is one thread's at a time
 * Progress: blocking on others who ask, a few ms
 */
int rpcprof_service_begin(struct rpcprof_service_call **call,
                          const struct rpcprof_service_request *request);

/**
 * The next message of the answer.
 *
 * @param bytes  out; borrowed until the next call for this request
 * @return       1: there is one; 0: there are no more, see rpcprof_service_status(); -EAGAIN: not
 *               yet, see rpcprof_service_wait_ns(). Outputs are untouched then
 *
 * Threads:  one at a time
 * Progress: blocking on others who ask, a few ms; allocates
 */
int rpcprof_service_next(struct rpcprof_service_call *call, const void **bytes, size_t *length);

/** After -EAGAIN: nanoseconds until rpcprof_service_next() wants to be called again. */
uint64_t rpcprof_service_wait_ns(const struct rpcprof_service_call *call);

/**
 * How it went, once rpcprof_service_next() gave 0: a gRPC status code.
 *
 * @param message  out; a sentence, UTF-8, "" for OK; borrowed until rpcprof_service_end()
 */
int32_t rpcprof_service_status(const struct rpcprof_service_call *call, const char **message);

/**
 * The answer is over, or given up.
 *
 * @param delivered  whether all that rpcprof_service_next() gave was sent. If not, what a
 *                   GetStreamStats took out is kept for the next one. (A Drain keeps everything
 *                   that was not acknowledged in any case.)
 *
 * Threads:  one at a time
 * Progress: blocking on others who ask; call NULL is fine
 */
void rpcprof_service_end(struct rpcprof_service_call *call, bool delivered);

/**
 * The paths of the methods, for transports that have to name them beforehand.
 *
 * @param i  0, 1, ...
 * @return   "/package.Service/Method"; NULL past the last
 */
const char *rpcprof_service_method(size_t i);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
