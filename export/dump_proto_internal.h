/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_DUMP_PROTO_INTERNAL_H
#define RPCPROF_DUMP_PROTO_INTERNAL_H

/* Dumps as protocol buffers and back, where protobuf-c's own structs are at hand. */
#include "export/dump_internal.h"
#include "rpcprof/v1/profiling.pb-c.h"

/* Names are any bytes, strings of protocol buffers are UTF-8. Those that had to be repaired live
 * until the message is packed. */
struct dump_texts {
	struct dump_repaired *repaired;
	bool failed; /* for want of memory */
};

char *rpcprof_dump_text(struct dump_texts *texts, const char *name);
void rpcprof_dump_texts_free(struct dump_texts *texts);

/* From a rpcprof.v1.Dump that rpcprof__v1__dump__unpack() read. */
void rpcprof_dump_read_header(const Rpcprof__V1__Header *from, struct dump_header *header);

/* Names are borrowed from the message; stages is room for DUMP_STAGES_MAX. 0, or -EINVAL with
 * *error a sentence. */
int rpcprof_dump_read_stat(const Rpcprof__V1__Stat *from, struct dump_call *call,
                           struct dump_stage *stages, const char **error);

#endif
