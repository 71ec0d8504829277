/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_BUFFER_H
#define RPCPROF_BUFFER_H

/*
 * A circular buffer of the last N values: lock-free, overwriting, in the caller's memory.
 *
 * Values are non-zero 64-bit words of the caller's choosing: indices, handles, pointers.
 * rpcprof_buffer_push() returns the value it displaced, and whoever receives a value, from push,
 * drain or take_oldest, owns it: every value comes out exactly once.
 *
 * The memory holds no address, so it may be mapped at different ones. Its shape is kept beside it
 * by the caller; all-zero memory is an empty buffer.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_BUFFER_CAPACITY_MAX (1u << 24)

/** The shape of a buffer and where its memory is mapped. Fill it by rpcprof_buffer_init(); a copy
 * with another `memory` is the same buffer seen through another mapping. */
struct rpcprof_buffer {
	void *memory;
	uint32_t capacity;    /* at least so many values are kept: see rpcprof_buffer_push() */
	uint32_t shards;      /* one per CPU */
	uint32_t block_slots; /* 1..15 */
	uint32_t blocks;
	uint32_t first_block; /* bytes from `memory` to block 0 */
	uint32_t own_cpus;    /* CPUs below this have a shard to themselves */
};

/** Receives one value; 0 to go on, anything else to stop. */
typedef int rpcprof_buffer_fn(void *arg, uint64_t value);

/**
 * How many bytes a buffer takes.
 *
 * @param capacity  1 .. RPCPROF_BUFFER_CAPACITY_MAX
 * @param shards    0 for one per CPU of the machine; above 1024 is 1024
 * @return          bytes, a multiple of 128; 0 if capacity is out of range
 */
size_t rpcprof_buffer_bytes(uint32_t capacity, uint32_t shards);

/**
 * Fills in the shape of a buffer over the caller's memory. Does not write to the memory.
 *
 * @param buffer  out
 * @param memory  rpcprof_buffer_bytes() bytes, 128-byte aligned; all-zero, or in use by another
 *                mapping of the same buffer; borrowed for as long as the buffer is used
 * @param shards  as given to rpcprof_buffer_bytes()
 * @return        0; -EINVAL if capacity is out of range or memory is NULL or misaligned
 */
int rpcprof_buffer_init(struct rpcprof_buffer *buffer, void *memory, uint32_t capacity,
                        uint32_t shards);

/**
 * Puts a value in, in place of about the oldest when full.
 *
 * Once as many have been pushed, at least `capacity` values are in it, but for those taken out.
 * Where one CPU pushes, or all push alike, they are the newest. Where some push little, all of the
 * newest capacity / 2 are among them, and of the rest those from mostly idle CPUs may be displaced
 * early, at most shards * block_slots of them. A thread that is preempted inside for as long
 * as the others take to fill the buffer, or moved to another CPU, may displace a newer one.
 *
 * @param value  not 0
 * @return       the value it displaced, now the caller's, who may well be handed one before the
 *               buffer is full; 0 if none
 *
 * Threads:  any, also in a signal handler
 * Progress: wait-free but for a new block, where it is lock-free; allocates: never
 */
uint64_t rpcprof_buffer_push(struct rpcprof_buffer *buffer, uint64_t value);

/**
 * As rpcprof_buffer_push(), but also tells what this CPU will likely displace a few pushes from now:
 * for fetching what that value stands for ahead of time, and for nothing else.
 *
 * @param next  out: a hint, which may be 0, gone, or not a value at all
 */
uint64_t rpcprof_buffer_push_peek(struct rpcprof_buffer *buffer, uint64_t value, uint64_t *next);

/**
 * Takes every value out, about oldest first; values pushed meanwhile may or may not be among them.
 *
 * @return  how many values fn received, the one it stopped at included
 *
 * Threads:  any number at once; they split the values
 * Progress: wait-free; allocates: never
 */
size_t rpcprof_buffer_drain(struct rpcprof_buffer *buffer, rpcprof_buffer_fn *fn, void *arg);

/**
 * Looks at every value without taking it, about oldest first. Never writes.
 *
 * The values stay the buffer's: one may be displaced while fn looks at it.
 *
 * @return  how many values fn received
 *
 * Threads:  any number at once
 * Progress: wait-free; allocates: never
 */
size_t rpcprof_buffer_walk(const struct rpcprof_buffer *buffer, rpcprof_buffer_fn *fn, void *arg);

/**
 * Takes about the oldest value.
 *
 * @return  the value, now the caller's; 0 if the buffer is empty
 *
 * Threads:  any number at once
 * Progress: wait-free, bounded by the number of slots; allocates: never
 */
uint64_t rpcprof_buffer_take_oldest(struct rpcprof_buffer *buffer);

/** How many slots the buffer has: the most values that can be in it at one time. */
size_t rpcprof_buffer_slots(const struct rpcprof_buffer *buffer);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
