/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of a Stat. Each has a commit word that carries the Stat's generation: an attribute of
 * an earlier generation is not there, so begin clears nothing, and setting one is a store.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "stats/arena_internal.h"

/* The Stat's cell if it is live; NULL, counted, if it has ended. */
static struct rpcprof_cell *live(struct rpcprof_stat stat)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(stat));

	if (rpcprof_stat_is_null(stat))
		return NULL;
	if (rpcprof_cell_is_live(cell, rpcprof_generation(stat)))
		return cell;
	rpcprof_count(late);
	return NULL;
}

void rpcprof_stat_set_method(struct rpcprof_stat stat, uint32_t method)
{
	struct rpcprof_cell *cell = live(stat);

	if (cell != NULL)
		rpcprof_store_relaxed(&cell->method, rpcprof_word(rpcprof_generation(stat), method));
}

void rpcprof_stat_set_status(struct rpcprof_stat stat, int32_t status)
{
	struct rpcprof_cell *cell = live(stat);

	if (cell != NULL)
		rpcprof_store_relaxed(&cell->status,
		                      rpcprof_word(rpcprof_generation(stat), (uint32_t)status));
}

/* Stores bytes as relaxed words: readers of Stats in flight may be looking. */
static void store_bytes(uint64_t *words, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = 0;
		memcpy(&word, from + i, bytes - i < sizeof(word) ? bytes - i : sizeof(word));
		rpcprof_store_relaxed(&words[i / sizeof(word)], word);
	}
}

void rpcprof_stat_set_metadata(struct rpcprof_stat stat, const void *data, size_t bytes)
{
	struct rpcprof_cell *cell = live(stat);

	if (cell == NULL)
		return;
	if (bytes > RPCPROF_METADATA_MAX)
		bytes = RPCPROF_METADATA_MAX;
	store_bytes(cell->metadata, data, bytes);
	/* M1 release, pairs with V3 (readers of Stats in flight), as do the commit words below: a
	 * committed attribute is complete. */
	rpcprof_store_release(&cell->metadata_word, rpcprof_word(rpcprof_generation(stat), (uint32_t)bytes));
}

void rpcprof_stat_set_connection(struct rpcprof_stat stat, uint64_t connection, uint32_t number)
{
	struct rpcprof_cell *cell = live(stat);

	if (cell == NULL)
		return;
	/* Big endian, as grpc-go has it. In whole words, for every call of gRPC comes here: bytes
	 * that are read back as words wait for all stores before them. */
	rpcprof_store_relaxed(&cell->metadata[0], htobe64(connection));
	rpcprof_store_relaxed(&cell->metadata[1], htole64(htobe32(number)));
	rpcprof_store_release(&cell->metadata_word, rpcprof_word(rpcprof_generation(stat), 12)); /* M1 */
}

void rpcprof_stat_set_trace(struct rpcprof_stat stat, const uint8_t trace_id[16],
                            const uint8_t span_id[8])
{
	struct rpcprof_cell *cell = live(stat);

	if (cell == NULL)
		return;
	store_bytes(cell->trace_id, trace_id, 16);
	store_bytes(&cell->span_id, span_id, 8);
	rpcprof_store_release(&cell->trace_word, rpcprof_word(rpcprof_generation(stat), 1)); /* M1 */
}

int rpcprof_stat_set_label(struct rpcprof_stat stat, uint32_t key, uint32_t value)
{
	struct rpcprof_cell *cell = live(stat);
	uint32_t count, i;
	uint64_t word;

	if (cell == NULL)
		return rpcprof_stat_is_null(stat) ? 0 : -ESTALE;
	word = rpcprof_load_relaxed(&cell->label_word);
	count = word >> 32 == rpcprof_generation(stat) ? (uint32_t)word : 0;
	for (i = 0; i < count; i++)
		if (rpcprof_load_relaxed(&cell->labels[i]) >> 32 == key)
			break;
	if (i == RPCPROF_LABELS_MAX)
		return -ENOSPC;
	rpcprof_store_relaxed(&cell->labels[i], (uint64_t)key << 32 | value);
	if (i == count)
		rpcprof_store_release(&cell->label_word, rpcprof_word(rpcprof_generation(stat), i + 1)); /* M1 */
	return 0;
}
