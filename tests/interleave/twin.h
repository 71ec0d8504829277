/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TWIN_H
#define RPCPROF_TWIN_H

/*
 * Included before everything else (-include), this has the library's own C files, unchanged, make
 * each access to a shared word through Relacy: include/atomic_internal.h and the inlined code of the
 * public headers use the __atomic builtins, and here those are calls of engine.cc.
 *
 * RPCPROF_TSAN_ keeps the public headers from adding by assembler, as it does for TSan.
 */
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct twin_place {
	const char *file;
	int line;
};

uint64_t twin_load(const void *word, unsigned bytes, int order, struct twin_place place);
void twin_store(void *word, unsigned bytes, uint64_t value, int order, struct twin_place place);
uint64_t twin_exchange(void *word, unsigned bytes, uint64_t value, int order,
                       struct twin_place place);
uint64_t twin_add(void *word, unsigned bytes, uint64_t value, int order, struct twin_place place);
uint64_t twin_and(void *word, unsigned bytes, uint64_t value, int order, struct twin_place place);
uint64_t twin_or(void *word, unsigned bytes, uint64_t value, int order, struct twin_place place);
int twin_cas(void *word, unsigned bytes, void *expected, uint64_t value, int order,
             int order_if_not, struct twin_place place);
void twin_fence(int order, struct twin_place place);
/* Where the simulated thread runs. */
uint32_t twin_cpu(void);

#ifdef __cplusplus
}
#endif

#define RPCPROF_TSAN_ 1

#define TWIN_HERE ((struct twin_place){__FILE__, __LINE__})
#define __atomic_load_n(p, order)                                                              \
	((__typeof__(*(p)))twin_load((p), sizeof(*(p)), (order), TWIN_HERE))
#define __atomic_store_n(p, v, order)                                                          \
	twin_store((p), sizeof(*(p)), (uint64_t)(v), (order), TWIN_HERE)
#define __atomic_exchange_n(p, v, order)                                                       \
	((__typeof__(*(p)))twin_exchange((p), sizeof(*(p)), (uint64_t)(v), (order), TWIN_HERE))
#define __atomic_fetch_add(p, v, order)                                                        \
	((__typeof__(*(p)))twin_add((p), sizeof(*(p)), (uint64_t)(v), (order), TWIN_HERE))
#define __atomic_fetch_sub(p, v, order) __atomic_fetch_add((p), -(v), (order))
#define __atomic_fetch_and(p, v, order)                                                        \
	((__typeof__(*(p)))twin_and((p), sizeof(*(p)), (uint64_t)(v), (order), TWIN_HERE))
#define __atomic_fetch_or(p, v, order)                                                         \
	((__typeof__(*(p)))twin_or((p), sizeof(*(p)), (uint64_t)(v), (order), TWIN_HERE))
#define __atomic_compare_exchange_n(p, expected, v, weak, order, order_if_not)                 \
	(twin_cas((p), sizeof(*(p)), (expected), (uint64_t)(v), (order), (order_if_not),       \
	          TWIN_HERE) != 0)
#define __atomic_thread_fence(order) twin_fence((order), TWIN_HERE)

/* Between CPUs what adds without a lock is a load and a store. */
#define rpcprof_next_unlocked(p) twin_next_unlocked((p), TWIN_HERE)
static inline uint64_t twin_next_unlocked(uint64_t *word, struct twin_place place)
{
	uint64_t value = twin_load(word, sizeof(*word), __ATOMIC_RELAXED, place);

	twin_store(word, sizeof(*word), value + 1, __ATOMIC_RELAXED, place);
	return value;
}

#define rpcprof_add_unlocked(p, v)                                                             \
	twin_store((p), sizeof(*(p)),                                                          \
	           twin_load((p), sizeof(*(p)), __ATOMIC_RELAXED, TWIN_HERE) + (v),            \
	           __ATOMIC_RELAXED, TWIN_HERE)

#define rpcprof_load_hint(p) ((void)(p), (uint64_t)0)
#define rpcprof_store_hint(p, v) ((void)(p), (void)(v))

/* What the kernel would call at a thread's exit, the cases call. */
#define pthread_key_create twin_key_create
#define pthread_setspecific twin_setspecific

/* In place of buffer/cpu_internal.h. */
#define RPCPROF_BUFFER_CPU_INTERNAL_H
static inline uint32_t rpcprof_cpu(void)
{
	return twin_cpu();
}

#endif
