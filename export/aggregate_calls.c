/* SPDX-License-Identifier: Apache-2.0 */
#include "export/aggregate_internal.h"

/* The table of calls in flight of which a part was charged: open addressing by cell, linear
 * probing, removal by moving back what follows. At most 3/4 full. */

static uint32_t home(const struct rpcprof_charged_calls *charged, uint64_t id)
{
	return ((uint32_t)id * 0x9e3779b1u >> 7) & charged->mask;
}

static bool same_cell(uint64_t a, uint64_t b)
{
	return (uint32_t)a == (uint32_t)b;
}

/* The entry of that cell, or the free one where it would go. */
static struct rpcprof_charged_call *entry_of(const struct rpcprof_charged_calls *charged,
                                             uint64_t id)
{
	uint32_t i = home(charged, id);

	while (charged->calls[i].id != 0 && !same_cell(charged->calls[i].id, id))
		i = (i + 1) & charged->mask;
	return &charged->calls[i];
}

struct rpcprof_charged_call *rpcprof_charged_find(const struct rpcprof_charged_calls *charged,
                                                  uint64_t id)
{
	struct rpcprof_charged_call *call = entry_of(charged, id);

	return call->id == id ? call : NULL;
}

void rpcprof_charged_remove(struct rpcprof_charged_calls *charged,
                            struct rpcprof_charged_call *call)
{
	uint32_t hole = (uint32_t)(call - charged->calls);
	uint32_t i = hole;

	for (;;) {
		uint32_t from;

		i = (i + 1) & charged->mask;
		if (charged->calls[i].id == 0)
			break;
		from = home(charged, charged->calls[i].id);
		if (((i - from) & charged->mask) >= ((i - hole) & charged->mask)) {
			charged->calls[hole] = charged->calls[i];
			hole = i;
		}
	}
	charged->calls[hole] = (struct rpcprof_charged_call){0};
	charged->used--;
}

static bool is_full(const struct rpcprof_charged_calls *charged)
{
	return charged->used >= (charged->mask + 1) / 4 * 3;
}

/* Calls that were displaced before anyone saw their end. Two rounds of grace: a thread may sleep
 * between ending a call and publishing it. */
static void forget_lost(struct rpcprof_charged_calls *charged, uint64_t round)
{
	for (uint32_t i = 0; i <= charged->mask; i++)
		while (charged->calls[i].id != 0 && charged->calls[i].seen + 2 < round)
			rpcprof_charged_remove(charged, &charged->calls[i]);
}

struct rpcprof_charged_call *rpcprof_charged_put(struct rpcprof_charged_calls *charged,
                                                 uint64_t id, uint64_t round)
{
	struct rpcprof_charged_call *call = entry_of(charged, id);

	if (call->id == 0) {
		if (is_full(charged)) {
			forget_lost(charged, round);
			call = entry_of(charged, id);
		}
		if (is_full(charged))
			return NULL;
		charged->used++;
	}
	if (call->id != id)
		*call = (struct rpcprof_charged_call){.id = id};
	call->seen = round;
	return call;
}
