/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SIPHASH_INTERNAL_H
#define RPCPROF_SIPHASH_INTERNAL_H

/*
 * SipHash-1-3 over 64-bit words: a keyed hash, so that strangers who make up method names cannot
 * aim at one bucket. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; with
 * one and three rounds as in the hash tables of Rust and CPython. The last word is the caller's:
 * it must tell lengths apart, as the paper's does.
 */
#include <stdint.h>

struct rpcprof_siphash {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rpcprof_rotate_left(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void rpcprof_siphash_round(struct rpcprof_siphash *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rpcprof_rotate_left(s->v1, 13) ^ s->v0;
	s->v3 = rpcprof_rotate_left(s->v3, 16) ^ s->v2;
	s->v0 = rpcprof_rotate_left(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rpcprof_rotate_left(s->v1, 17) ^ s->v2;
	s->v3 = rpcprof_rotate_left(s->v3, 21) ^ s->v0;
	s->v2 = rpcprof_rotate_left(s->v2, 32);
}

static inline struct rpcprof_siphash rpcprof_siphash_begin(uint64_t k0, uint64_t k1)
{
	struct rpcprof_siphash s = {
		.v0 = k0 ^ 0x736f6d6570736575,
		.v1 = k1 ^ 0x646f72616e646f6d,
		.v2 = k0 ^ 0x6c7967656e657261,
		.v3 = k1 ^ 0x7465646279746573,
	};
	return s;
}

static inline void rpcprof_siphash_word(struct rpcprof_siphash *s, uint64_t word)
{
	s->v3 ^= word;
	rpcprof_siphash_round(s);
	s->v0 ^= word;
}

static inline uint64_t rpcprof_siphash_end(struct rpcprof_siphash *s)
{
	s->v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		rpcprof_siphash_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

#endif
