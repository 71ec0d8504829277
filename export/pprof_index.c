/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_model_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* 16 bytes of the kernel's randomness, there since the process began. */
static uint64_t process_seed(void)
{
	const void *random = (const void *)(uintptr_t)getauxval(AT_RANDOM);
	uint64_t seed = 0;

	if (random != NULL)
		memcpy(&seed, random, sizeof(seed));
	return seed;
}

__extension__ typedef unsigned __int128 uint128;

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint128 product = (uint128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t rpcprof_pprof_hash(const void *data, size_t bytes, uint64_t seed)
{
	const unsigned char *at = data;
	uint64_t word, hash = seed ^ process_seed() ^ bytes;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = mix(hash ^ word ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
	}
	word = 0;
	memcpy(&word, at, bytes);
	hash = mix(hash ^ word ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
	return mix(hash ^ 0xa0761d6478bd642fu, 0xe7037ed1a0b428dbu);
}

uint32_t rpcprof_pprof_index_find(const struct pprof_index *index, const void *array, uint32_t hash,
                                  pprof_equal_fn *equal, const void *key)
{
	const struct pprof_bucket *bucket;
	size_t at;

	if (index->buckets == NULL)
		return 0;
	for (at = hash & index->mask;; at = (at + 1) & index->mask) {
		bucket = &index->buckets[at];
		if (bucket->id == 0)
			return 0;
		if (bucket->hash == hash && equal(array, bucket->id - 1, key))
			return bucket->id;
	}
}

void rpcprof_pprof_index_put(struct pprof_index *index, uint32_t hash, uint32_t id)
{
	size_t at = hash & index->mask;

	while (index->buckets[at].id != 0)
		at = (at + 1) & index->mask;
	index->buckets[at].hash = hash;
	index->buckets[at].id = id;
	index->used++;
}

int rpcprof_pprof_index_reserve(struct rpcprof_pprof *model, struct pprof_index *index)
{
	struct pprof_index larger = {NULL, 0, 0};
	size_t old = index->buckets == NULL ? 0 : index->mask + 1;
	size_t count = old == 0 ? 64 : old * 2;

	if ((index->used + 1) * 3 < old * 2)
		return 0;
	if (count > (size_t)1 << 32)
		return -EFBIG;
	if (model->memory_limit != 0 &&
	    model->memory + (count - old) * sizeof(*index->buckets) > model->memory_limit)
		return -EFBIG;
	larger.buckets = calloc(count, sizeof(*larger.buckets));
	if (larger.buckets == NULL)
		return -ENOMEM;
	larger.mask = count - 1;
	for (size_t i = 0; i < old; i++)
		if (index->buckets[i].id != 0)
			rpcprof_pprof_index_put(&larger, index->buckets[i].hash,
			                        index->buckets[i].id);
	free(index->buckets);
	*index = larger;
	model->memory += (count - old) * sizeof(*index->buckets);
	return 0;
}
