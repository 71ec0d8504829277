/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_INPUT_INTERNAL_H
#define RPCPROF_INPUT_INTERNAL_H

/* A file the command reads: a profile, or a saved dump in any form; gzipped or not. */
#include "cli/command_internal.h"
#include "export/dump_internal.h"
#include "export/pprof_read_internal.h"

struct input {
	const char *path; /* as given; "-" is stdin */
	uint8_t *bytes;   /* uncompressed */
	size_t length;
	bool was_gzip;
	bool is_proto;                 /* a dump in messages, not JSON */
	struct rpcprof_pprof *profile; /* NULL for a dump */
};

/* Reads and tells what it is; a profile is decoded. EXIT_DONE, or another after a complaint. */
int input_open(struct input *input, const char *path);
/* The same of a profile that came from elsewhere, copied; a dump is none. remedy: if it is not. */
int input_of_bytes(struct input *input, const char *path, const uint8_t *bytes, size_t length,
                   const char *remedy);
void input_close(struct input *input);

/* Receives the parts of a dump, in order; header may be NULL there. Each returns an exit_code. */
struct dump_receiver {
	int (*header)(void *arg, const struct dump_header *header);
	int (*call)(void *arg, const struct dump_call *call);
	void *arg;
	uint64_t torn; /* set from the dump's end */
};

/* Goes through a saved dump. EXIT_DONE, or another after a complaint. */
int input_each_call(const struct input *input, struct dump_receiver *receiver);

/* The same of a dump in messages rpcprof.v1.Dump, each after its length; and whether it is one. */
int input_each_proto(const struct input *input, struct dump_receiver *receiver);
bool input_is_proto(const struct input *input);

/* As complain(EXIT_BAD_INPUT, ...), naming file and byte. */
int input_complain(const struct input *input, uint64_t offset, const char *text,
                   const char *remedy);

/* jansson takes no more than the limit of memory from here on. */
void json_memory_limit(void);

#endif
