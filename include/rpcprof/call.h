/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CALL_H
#define RPCPROF_CALL_H

/*
 * A call recorder that knows no framework: what a Stat of an RPC needs beside its timers.
 *
 * Put a struct rpcprof_call into whatever your server or client keeps per call. Begin it, time its
 * stages on rpcprof_call_stat() by timer.h, say how it went, end it:
 *
 *     rpcprof_call_begin(&request->call, RPCPROF_TAG_SERVER);
 *     rpcprof_call_set_method_name(&request->call, name, name_bytes);
 *     rpcprof_lap(rpcprof_call_stat(&request->call), RPCPROF_TAG("/handler"));
 *     ...
 *     rpcprof_call_set_status(&request->call, 0);
 *     rpcprof_call_end(&request->call);
 *
 * Method names come from the network, so they are not believed at once: a name that was not
 * declared shows as "_OTHER" until a call of it has been answered with anything but
 * "unimplemented". Strangers who make names up cannot fill the tag table.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/stat.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A name that has still to prove itself is kept in the call, up to this length. A longer one must
 * be declared, or shows as "_OTHER". */
#define RPCPROF_CALL_NAME_MAX 128

/* The status that does not prove a method: gRPC's UNIMPLEMENTED. */
#define RPCPROF_CALL_UNIMPLEMENTED 12

/** One call on one side; the caller's memory, embedded where it lies. Exposed to be embedded. */
struct rpcprof_call {
	struct rpcprof_stat stat;
	int32_t status;
	uint32_t has_status; /* 0, or how it came to be: see call.c */
	uint32_t name_bytes; /* of name; 0 = the method is known, or there is none */
	char name[RPCPROF_CALL_NAME_MAX];
};

/** The Stat to put timers on: borrowed, good until rpcprof_call_end(). */
static inline struct rpcprof_stat rpcprof_call_stat(const struct rpcprof_call *call)
{
	return call->stat;
}

/**
 * A method of the program's own, by name, is believed from now on.
 *
 * For every method that a server has, at its start; for the methods that a client calls.
 *
 * @param name   "/package.Service/Method", or what your protocol calls it
 * @param bytes  its length; (size_t)-1 for strlen(name)
 * @return       its tag; 0 before rpcprof_init(); RPCPROF_TAG_OTHER if the table is full
 *
 * Threads:  any
 * Progress: lock-free; allocates: never
 */
uint32_t rpcprof_call_declare_method(const char *name, size_t bytes);

/* The way of begin when the switch is on. */
bool rpcprof_call_begin_on(struct rpcprof_call *call, uint32_t side, uint64_t ticks);

/**
 * A call begins at a tick that you have; 0 for now.
 *
 * @param call  borrowed until rpcprof_call_end(); need not be zeroed
 * @param side  RPCPROF_TAG_SERVER, RPCPROF_TAG_CLIENT, or a tag of your own
 * @return      whether it is recorded. If not, every other call accepts it and does nothing
 *
 * Threads:  any; a call is one thread's at a time, but for timers, see stat.h
 * Progress: lock-free; allocates: as rpcprof_stat_begin()
 */
static inline bool rpcprof_call_begin_at(struct rpcprof_call *call, uint32_t side, uint64_t ticks)
{
	if (__builtin_expect(!rpcprof_enabled(), 1)) {
		call->stat = rpcprof_stat_none_();
		return false;
	}
	return rpcprof_call_begin_on(call, side, ticks);
}

/** As rpcprof_call_begin_at(), now. */
static inline bool rpcprof_call_begin(struct rpcprof_call *call, uint32_t side)
{
	return rpcprof_call_begin_at(call, side, 0);
}

/** Sets the method by its tag: one that was declared. */
void rpcprof_call_set_method(struct rpcprof_call *call, uint32_t method);

/**
 * Sets the method by a name from the network: "_OTHER" until it has proved itself.
 *
 * @param name  borrowed for the call; need not be terminated
 */
void rpcprof_call_set_method_name(struct rpcprof_call *call, const char *name, size_t bytes);

/**
 * Sets the connection; the number of the call within it is made up, and unique in the process.
 *
 * @param connection  rpcprof_call_connection() of the peer's name, or an id of your own
 */
void rpcprof_call_set_connection(struct rpcprof_call *call, uint64_t connection);

/** An id for a name, such as a peer's address: a hash, the same in every process. */
uint64_t rpcprof_call_connection(const void *name, size_t bytes);

/**
 * The call was answered with this status: a gRPC code, or a number of your own protocol, in which
 * RPCPROF_CALL_UNIMPLEMENTED should then mean "no such method".
 *
 * Any other status proves that the method is real. The last one set counts.
 */
void rpcprof_call_set_status(struct rpcprof_call *call, int32_t status);

/** The call was ended by its peer, a deadline or a broken connection, not by an answer: proves
 * nothing about its method. */
void rpcprof_call_abort(struct rpcprof_call *call, int32_t status);

/**
 * The call is over: its Stat is finished, with the status last set, if any.
 *
 * A call that ended, or was never recorded, may be ended again.
 *
 * Threads:  any, one
 * Progress: lock-free; allocates: never
 */
void rpcprof_call_end(struct rpcprof_call *call);

/** As rpcprof_call_end(), but the Stat is forgotten (rpcprof_stat_discard()). */
void rpcprof_call_discard(struct rpcprof_call *call);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
