/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TAG_H
#define RPCPROF_TAG_H

/*
 * Names, interned once and carried as 32-bit ids.
 *
 * A tag is a comma-separated list of slash-separated hierarchies, as in grpc-go:
 * "/recv/header", "/grpc/stream/recv/header,/http2". Id 0 is "no tag".
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/layout.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Each kind has a budget of its own, so that made-up method names cannot crowd out stages. */
enum rpcprof_tag_kind {
	RPCPROF_TAG_STAGE = 0,  /* timers, and the sides "client" and "server" */
	RPCPROF_TAG_METHOD = 1, /* "/package.Service/Method" */
	RPCPROF_TAG_LABEL = 2   /* keys and values of labels */
};
#define RPCPROF_TAG_KINDS 3

/** Fixed ids, valid before init too. */
#define RPCPROF_TAG_NONE 0u
#define RPCPROF_TAG_OTHER 1u  /* "(other)": a full budget, a fifth folded tag */
#define RPCPROF_TAG_CLIENT 2u /* "client" */
#define RPCPROF_TAG_SERVER 3u /* "server" */
#define RPCPROF_TAG_UNKNOWN_METHOD 4u /* "_OTHER": a method name not yet known to be real */

/**
 * The id of a name, made on first use.
 *
 * The same bytes give the same id for any kind; the kind says whose budget pays for a new one. A
 * full budget gives RPCPROF_TAG_OTHER and is counted (tag_overflow).
 *
 * @param name   bytes, not necessarily terminated; copied. Any bytes but NUL, which ends it; at
 *               most 1024 kept, a longer name is cut there and counted (tags_cut)
 * @param bytes  its length; (size_t)-1 for strlen(name)
 * @return       the id; 0 before rpcprof_init(), for NULL and for ""
 *
 * Threads:  any, also in a signal handler
 * Progress: lock-free; allocates: never
 */
uint32_t rpcprof_tag_intern(enum rpcprof_tag_kind kind, const char *name, size_t bytes);

/**
 * The id of a name that is already known, else 0. Never writes.
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
uint32_t rpcprof_tag_find(const char *name, size_t bytes);

/**
 * The name of an id.
 *
 * @param bytes  may be NULL; else its length
 * @return       terminated, valid as long as the process; "" for 0 and for ids never given
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
const char *rpcprof_tag_name(uint32_t tag, size_t *bytes);

/** What the time of a stage is, beside a part of its call's: bits. */
enum rpcprof_tag_mark {
	RPCPROF_TAG_WAITS = 1, /* the call waits: profile "block" (export.h) */
	RPCPROF_TAG_LOCKS = 2  /* it waits for a lock: profile "mutex" (lock.h) */
};

/**
 * Calls wait in this stage, from now on and for good: it is part of the profile "block".
 *
 * "/queue", "/recv/..." and "/send/..." are from the start, also as a part of a list.
 *
 * @return  0; -EINVAL: no such tag, as all are before rpcprof_init(), or a fixed one
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int rpcprof_tag_wait(uint32_t tag);

/**
 * The marks of a tag, enum rpcprof_tag_mark; 0 for ids never given.
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
uint32_t rpcprof_tag_marks(uint32_t tag);

/* The way of a call site whose cache is cold. */
uint32_t rpcprof_tag_refresh(uint64_t *site, enum rpcprof_tag_kind kind, const char *name);

/* site = epoch << 32 | id. relaxed: both halves travel in one word, and an id is good for its
 * epoch whoever made it. */
static inline uint32_t rpcprof_tag_cached(uint64_t *site, enum rpcprof_tag_kind kind,
                                          const char *name)
{
	uint64_t word = __atomic_load_n(site, __ATOMIC_RELAXED);
	uint64_t epoch = __atomic_load_n(&rpcprof_control_page.head.tag_epoch, __ATOMIC_RELAXED);
	if (__builtin_expect(word >> 32 == epoch && epoch != 0, 1))
		return (uint32_t)word;
	return rpcprof_tag_refresh(site, kind, name);
}

/** The id of a literal stage name, looked up once per call site: RPCPROF_TAG("/decode"). */
#define RPCPROF_TAG(literal)                                                                   \
	__extension__({                                                                        \
		static uint64_t rpcprof_site_;                                                 \
		rpcprof_tag_cached(&rpcprof_site_, RPCPROF_TAG_STAGE, "" literal);             \
	})

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
