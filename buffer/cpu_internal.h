/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_BUFFER_CPU_INTERNAL_H
#define RPCPROF_BUFFER_CPU_INTERNAL_H

/*
 * Which CPU this thread runs on, for a few cycles: the number that the kernel keeps up to date in
 * the thread's rseq area, which glibc 2.35 and later registers.
 *
 * It may be wrong by the time it is used. That only costs locality: see push.c.
 */
#include <stddef.h>
#include <stdint.h>

/* As in <sys/rseq.h>, but weak: an older or another libc has none. */
extern const unsigned int __rseq_size __attribute__((weak));
extern const ptrdiff_t __rseq_offset __attribute__((weak));

#define RSEQ_CPU_ID_OFFSET 4 /* struct rseq: cpu_id_start, cpu_id, ... */

static inline const char *rpcprof_thread_pointer(void)
{
#if defined(__x86_64__) && defined(__LP64__)
	const char *self;

	__asm__("movq %%fs:0, %0" : "=r"(self)); /* not the builtin: clang 14 has none */
	return self;
#else
	return __builtin_thread_pointer();
#endif
}

#define RPCPROF_NOT_A_CPU UINT32_C(0x80000000)

/* In place of a CPU number: threads spread by where their stacks and TLS lie. Unlike a CPU's, it
 * is RPCPROF_NOT_A_CPU or above, as several threads may run at once under one. */
static inline uint32_t rpcprof_thread_hash(void)
{
	uint64_t address = (uint64_t)(uintptr_t)rpcprof_thread_pointer();

	return RPCPROF_NOT_A_CPU | (uint32_t)((address >> 6) * UINT64_C(0x9e3779b97f4a7c15) >> 33);
}

/* The CPU number, or the thread's hash where the kernel gives none. */
static inline uint32_t rpcprof_cpu(void)
{
	int32_t cpu;

	if (&__rseq_size == NULL || __rseq_size == 0)
		return rpcprof_thread_hash();
	/* Volatile as the kernel writes it, whenever it moves this thread. */
	cpu = *(const volatile int32_t *)(rpcprof_thread_pointer() + __rseq_offset +
					  RSEQ_CPU_ID_OFFSET);
	return cpu >= 0 ? (uint32_t)cpu : rpcprof_thread_hash();
}

#endif
