/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_FIT_INTERNAL_H
#define RPCPROF_FIT_INTERNAL_H

/*
 * Profiles no larger than servers take. A larger one becomes several, largest samples first; what
 * is left then becomes samples "other", one for each set of labels. Totals stay as they were.
 */
#include "export/pprof_read_internal.h"

#define RPCPROF_PARTS_MAX 16

struct rpcprof_limits {
	size_t bytes;   /* uncompressed */
	size_t samples;
	uint32_t parts; /* at most RPCPROF_PARTS_MAX */
};

struct rpcprof_part {
	uint8_t *bytes; /* malloc'ed */
	size_t length;
};

/* Decodes a profile, gzipped or not, of bounded size. 0 or a negative errno. */
int rpcprof_fit_read(const uint8_t *bytes, size_t length, struct rpcprof_pprof **model,
                     size_t *uncompressed, struct pprof_error *error);

/* Of what rpcprof_pprof_encode() made: one member of less than 4 GiB. */
size_t rpcprof_fit_uncompressed(const struct rpcprof_part *part);

/* How many parts there are, up to limits->parts; 0: it fits as it is. *folded: samples that became
 * "other". Or a negative errno: it is no profile, or there is no memory. */
int rpcprof_fit(const uint8_t *bytes, size_t length, const struct rpcprof_limits *limits,
                struct rpcprof_part *parts, uint64_t *folded, struct pprof_error *error);

#endif
