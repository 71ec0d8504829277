/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_DUMP_H
#define RPCPROF_DUMP_H

/*
 * The last N calls, written out: as a table for people, as one JSON document, as JSON lines, or
 * as protocol buffers.
 *
 * Of librpcprof-export. The `rpcprof` command reads all but the table back.
 */
#include <stdio.h>

#include "rpcprof/view.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** How a dump is written. */
enum rpcprof_dump_format {
	RPCPROF_DUMP_TABLE = 0,
	RPCPROF_DUMP_JSON = 1,      /* one document */
	RPCPROF_DUMP_JSON_LINES = 2, /* a header, one line per call, an end */
	RPCPROF_DUMP_PROTO = 3 /* messages rpcprof.v1.Dump, each after its length as a varint */
};

/** Whether a table has colours. */
enum rpcprof_dump_colour {
	RPCPROF_DUMP_COLOUR_AUTO = 0, /* if the stream is a terminal and NO_COLOR is not set */
	RPCPROF_DUMP_COLOUR_NEVER = 1,
	RPCPROF_DUMP_COLOUR_ALWAYS = 2
};

/** Which calls, as bits. */
enum rpcprof_dump_calls { RPCPROF_DUMP_FINISHED = 1, RPCPROF_DUMP_IN_FLIGHT = 2 };

/** What rpcprof_dump() takes. Set size, leave the rest 0 for the defaults. */
struct rpcprof_dump_options {
	size_t size;                  /* sizeof(struct rpcprof_dump_options) */
	uint32_t format;              /* enum rpcprof_dump_format; default a table */
	uint32_t colour;              /* enum rpcprof_dump_colour */
	uint32_t calls;               /* bits of enum rpcprof_dump_calls; 0 = finished ones */
	struct rpcprof_filter filter; /* as rpcprof_snapshot(); filter.size 0 = everything */
};

/**
 * Writes the last finished calls, oldest first, then the calls in flight if asked for.
 *
 * Looks without taking: no reader after it misses anything. Names that calls carry cannot harm:
 * control characters and invalid UTF-8 are escaped. Dates are UTC and durations monotonic, in
 * nanoseconds; the dump says how exact its dates are and how many calls it does not have.
 *
 * @param out      flushed before the call returns; stays open
 * @param options  NULL for a table of everything finished
 * @return         how many calls were written, or a negative errno
 *
 * Threads:  any number, beside recorders and drainers, each with a stream of its own
 * Progress: blocking on the stream; allocates: some kilobytes, and as rpcprof_snapshot()
 * Errors:   -ENODEV before rpcprof_init(); -EINVAL an option is out of range; -ENOMEM; what
 *           writing gave, -EIO if that is not known. What was written by then stays written
 */
int64_t rpcprof_dump(FILE *out, const struct rpcprof_dump_options *options);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
