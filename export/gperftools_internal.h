/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GPERFTOOLS_INTERNAL_H
#define RPCPROF_GPERFTOOLS_INTERNAL_H

/*
 * The CPU profiles of gperftools, words of a machine: a header {0, 3, 0, period in us, 0}, records
 * {count, depth, addresses, the leaf first}, and at the end {0, 1, 0} and /proc/self/maps as text.
 *
 * Source: gperftools, docs/cpuprofile-fileformat.html
 */
#include <stddef.h>
#include <stdint.h>

#define RPCPROF_GPERFTOOLS_HEADER 5 /* words, of version 0 */
#define RPCPROF_GPERFTOOLS_DEPTH_MAX 254

struct rpcprof_gperftools {
	uint64_t period_us; /* 0: the header is still to come */
	int64_t begin_ns;   /* of what comes next */
	int64_t end_ns;
};

/*
 * Makes a pprof profile, gzipped and malloc'ed, of the records in `words`, whose addresses are of
 * this process. *used: how many words make whole records; the rest is the begin of the next.
 *
 * 0; -ENODATA: there is no sample; -EBADMSG: that is no such profile; -ENOMEM.
 */
int rpcprof_gperftools_convert(struct rpcprof_gperftools *state, const uintptr_t *words,
                               size_t count, size_t *used, uint8_t **bytes, size_t *length);

#endif
