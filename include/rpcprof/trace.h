/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TRACE_H
#define RPCPROF_TRACE_H

/*
 * The W3C trace context that joins the two sides of a call: https://www.w3.org/TR/trace-context/,
 * section 3.2.
 *
 *     traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *                  version, trace id, id of the client's span, flags
 *
 * What came or went with a call goes on its Stat by rpcprof_stat_set_trace(). rpcprof/grpc.h and
 * rpcprof/grpcpp.hpp do all that by themselves.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_TRACEPARENT_BYTES 55

/** A trace context. */
struct rpcprof_trace {
	uint8_t trace_id[16];
	uint8_t span_id[8]; /* the client's */
	uint8_t flags;
};

/**
 * Reads the value of a `traceparent`.
 *
 * @param trace  out; untouched if it is none
 * @param text   not terminated
 * @return       whether it is as the W3C says
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
bool rpcprof_trace_parse(struct rpcprof_trace *trace, const char *text, size_t bytes);

/**
 * Writes the value of a `traceparent`.
 *
 * @param text  out; RPCPROF_TRACEPARENT_BYTES, not terminated
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
void rpcprof_trace_format(const struct rpcprof_trace *trace, char *text);

/**
 * A new span, of the parent's trace.
 *
 * @param trace   out; may be the parent
 * @param parent  NULL: of a new trace, which is marked as recorded, since it is
 *
 * Threads:  any
 * Progress: wait-free, but for the first, which asks the kernel for bytes; allocates: never
 */
void rpcprof_trace_begin(struct rpcprof_trace *trace, const struct rpcprof_trace *parent);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
