/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_WAITS_H
#define RPCPROF_WAITS_H

/*
 * The profiles "block" and "mutex": where calls wait, and where threads wait for locks. As Go's of
 * these names: sample types contentions/count and delay/nanoseconds, cumulative.
 *
 * Block has the stages in which calls wait: "/queue", "/recv/...", "/send/...", and those of
 * rpcprof_tag_wait(). Mutex has the locks of lock.h. A wait in a call stands at its stack (side,
 * method, stages) and counts when the call has ended; a lock outside of calls stands alone.
 *
 * A wait within a wait, wholly and on its thread, is not part of the outer one's own delay: frames
 * add up to what the outermost lasted.
 */
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/lock.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * Waits of `ns` and longer are all taken, shorter ones in proportion: of one of ns / 10 each tenth,
 * at random, which counts for ten. 1: all, exactly; 0: none, which is so at the start. As
 * runtime.SetBlockProfileRate of Go; costs recording nothing.
 *
 * Holds for calls that are collected from now on: what ended shortly before may be among them.
 * Stages of which a call had so many that they were folded (timer.h) are taken whole.
 *
 * @param ns  less than 0: only asks
 * @return    what it was before
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int64_t rpcprof_set_block_rate(int64_t ns);

/**
 * The profile "block": the waits of all calls since the rate was first set.
 *
 * Needs no exporter, does not disturb one; without one the calls of which the ring has no more are
 * not in it (unaggregated). An exporter that is started with other labels or memory begins anew.
 *
 * @param bytes   gzipped pprof, perhaps without samples; the caller's, to be given to free()
 * @param length  of it
 * @return        0; -ENOENT: the rate is 0; -ENODEV before rpcprof_init(); -ENOMEM
 *
 * Threads:  any
 * Progress: blocking on those who make profiles; allocates
 */
int rpcprof_block_encode(uint8_t **bytes, size_t *length);

/**
 * The profile "mutex": the waits for locks since rpcprof_set_mutex_fraction() was first called.
 *
 * As rpcprof_block_encode(), but -ENOENT while the fraction is 0. Waits outside of calls are there
 * at once, whoever collects.
 */
int rpcprof_mutex_encode(uint8_t **bytes, size_t *length);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
