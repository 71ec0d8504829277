/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_ATOMIC_INTERNAL_H
#define RPCPROF_ATOMIC_INTERNAL_H

/*
 * Every access to a word that threads share goes through here, so that one look finds them all
 * and a checker can put its own in their place. Not installed.
 *
 * Words are plain fixed-width integers (they lie in shared mappings and in public headers that
 * C++17 reads), accessed by the compiler's __atomic builtins, which mean what C11's do.
 *
 * Each use outside relaxed names its edge and the partner: see docs/design.md.
 */
#include <stdbool.h>
#include <stdint.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#define rpcprof_load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define rpcprof_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define rpcprof_store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define rpcprof_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define rpcprof_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define rpcprof_or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define rpcprof_exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

/* Of words that only tell what to fetch ahead. Whatever they hold is right, so a checker leaves them
 * out. */
#ifndef rpcprof_load_hint
#define rpcprof_load_hint(p) rpcprof_load_relaxed(p)
#define rpcprof_store_hint(p, v) rpcprof_store_relaxed((p), (v))
#endif

/* Without x86-64's lock prefix, which would cost half of a push: one instruction, so whole against
 * signals and preemption on its CPU. Against other CPUs it is a load and a store, and a checker
 * takes it for that. The first adds 1 and gives what was there. */
#if defined(rpcprof_next_unlocked)
/* the checker's */
#elif defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
static inline uint64_t rpcprof_next_unlocked(uint64_t *word)
{
	uint64_t next = 1;

	__asm__ volatile("xaddq %0, %1" : "+r"(next), "+m"(*word) : : "cc");
	return next;
}

static inline void rpcprof_add_unlocked(uint64_t *word, uint64_t amount)
{
	__asm__ volatile("addq %1, %0" : "+m"(*word) : "er"(amount) : "cc");
}
#else
#define rpcprof_next_unlocked(p) rpcprof_add_relaxed((p), 1)
#define rpcprof_add_unlocked(p, v) ((void)rpcprof_add_relaxed((p), (v)))
#endif

/* Compare and swap, strong; on failure *expected is what was there, by a relaxed load (acquire
 * for _acq_rel, whose loser goes on with what it found). */
#define rpcprof_cas_relaxed(p, expected, v)                                                    \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define rpcprof_cas_acquire(p, expected, v)                                                    \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define rpcprof_cas_release(p, expected, v)                                                    \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define rpcprof_cas_acq_rel(p, expected, v)                                                    \
	__atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

#define rpcprof_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define rpcprof_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
/* Orders this thread against its own signal handlers only. */
#define rpcprof_fence_signal() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
