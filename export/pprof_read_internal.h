/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PPROF_READ_INTERNAL_H
#define RPCPROF_PPROF_READ_INTERNAL_H

/*
 * Profiles that others wrote, possibly with ill intent: every size is bounded before memory is
 * got for it, and an error says at which byte and why. For the command, hence not beside cli/.
 */
#include "export/pprof_model_internal.h"

#define PPROF_FILE_BYTES_MAX ((size_t)64 << 20)
#define PPROF_BYTES_MAX ((size_t)256 << 20)
#define PPROF_MEMORY_MAX ((size_t)1 << 30)

struct pprof_error {
	uint64_t offset; /* of the first byte of what is wrong, in the bytes that were given */
	char text[160];
};

/* Whether the bytes begin as gzip does. */
bool rpcprof_pprof_is_gzip(const uint8_t *bytes, size_t length);

/* Uncompresses all members of a gzip file. *out is malloc'ed. 0; -EINVAL if it is not whole and
 * intact; -EFBIG if it is more than `limit`; -ENOMEM. */
int rpcprof_pprof_gunzip(const uint8_t *bytes, size_t length, size_t limit, uint8_t **out,
                         size_t *out_length, struct pprof_error *error);

/* Decodes an uncompressed profile into a model that takes at most memory_limit bytes (0: no
 * limit). 0; -EINVAL if malformed; -EFBIG; -ENOMEM. */
int rpcprof_pprof_decode(const uint8_t *bytes, size_t length, size_t memory_limit,
                         struct rpcprof_pprof **out, struct pprof_error *error);

/* Adds the samples of `from` to those of `into`, which may be a fresh model: equal samples become
 * one. With `base` the values count as negative and every sample bears pprof::base=true, which is
 * how pprof marks what a profile is compared with. 0; -EINVAL if the types differ; -EOVERFLOW;
 * -EFBIG or -ENOMEM, after which `into` is only good to be closed. */
int rpcprof_pprof_merge(struct rpcprof_pprof *into, const struct rpcprof_pprof *from, bool base,
                        struct pprof_error *error);

/* Removes samples whose values are all 0; after the last merge. */
void rpcprof_pprof_drop_zero_samples(struct rpcprof_pprof *model);

#endif
