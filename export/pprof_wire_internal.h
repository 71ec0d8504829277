/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PPROF_WIRE_INTERNAL_H
#define RPCPROF_PPROF_WIRE_INTERNAL_H

/* The top-level fields of a profile's bytes, one at a time: where each begins and ends. */
#include "export/pprof_read_internal.h"

struct pprof_wire {
	const uint8_t *bytes;
	size_t length;
	size_t at; /* of the field at hand */
	struct pprof_error *error;
};

struct pprof_field {
	uint64_t number;
	uint32_t wire;     /* type */
	size_t begin, end; /* with its tag */
	size_t payload;    /* of a message or string: the first byte after the length */
};

/* Fields up to this number are messages or strings. */
#define PPROF_FIELD_STRING_TABLE 6

/* Says what is wrong with the field at hand. Returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int rpcprof_pprof_fail(struct pprof_wire *wire,
                                                             const char *format, ...);

/* Reads the tag and length at wire->at, which stays. 0 or -EINVAL. */
int rpcprof_pprof_read_field(struct pprof_wire *wire, struct pprof_field *field);

#endif
