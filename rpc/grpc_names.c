/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an opaque pointer of core's stands for: the kind of a queue, the method of a handle.
 *
 * Without a lock, for gRPC C++ makes a queue for each unary call of its sync API. A pointer's entry is
 * one of a few from its home on, all of which are looked at: so a removed one leaves no mark, and
 * readers and writers are wait-free. Who asks, sets or removes has a pointer that is alive, which
 * nobody else removes or sets to something else meanwhile; entries of other pointers may change, and
 * are passed over whatever they hold.
 */
#include "rpc/grpc_internal.h"

#define WINDOW 32 /* entries that may be a pointer's; all taken is: not known */
#define FILLED 1u /* a key that no pointer of core's can be, of an entry that gets its value */

struct grpc_name rpcprof_grpc_queues[GRPC_NAMES];
static struct grpc_name handles[GRPC_NAMES];

static struct grpc_name *entry_of(struct grpc_name *table, uintptr_t key, unsigned i)
{
	unsigned home = (unsigned)((uint64_t)key * 0x9e3779b97f4a7c15u >> 40);

	return &table[(home + i) % GRPC_NAMES];
}

static struct grpc_name *find(struct grpc_name *table, uintptr_t key)
{
	for (unsigned i = 0; key != 0 && i < WINDOW; i++) {
		struct grpc_name *entry = entry_of(table, key, i);

		/* N1 acquire, pairs with N2: the value before the key. */
		if (rpcprof_load_acquire(&entry->key) == key)
			return entry;
	}
	return NULL;
}

static struct grpc_name *take(struct grpc_name *table, uintptr_t key)
{
	for (unsigned i = 0; key != 0 && i < WINDOW; i++) {
		struct grpc_name *entry = entry_of(table, key, i);
		uintptr_t none = 0;

		/* relaxed: a look, which spares most of the exchanges that would fail */
		if (rpcprof_load_relaxed(&entry->key) != 0)
			continue;
		/* N4 acquire, pairs with N3: the value of the key before is not stored after ours. */
		if (rpcprof_cas_acquire(&entry->key, &none, (uintptr_t)FILLED))
			return entry;
	}
	return NULL;
}

static uint32_t lookup(struct grpc_name *table, const void *pointer)
{
	struct grpc_name *entry = find(table, (uintptr_t)pointer);

	/* relaxed: N1, and nobody changes the value of a pointer that others ask for */
	return entry ? rpcprof_load_relaxed(&entry->value) : 0;
}

static void set(struct grpc_name *table, const void *pointer, uint32_t value)
{
	uintptr_t key = (uintptr_t)pointer;
	struct grpc_name *entry = find(table, key);

	if (!entry)
		entry = take(table, key);
	if (!entry)
		return;
	rpcprof_store_relaxed(&entry->value, value);
	/* N2 release, pairs with N1. */
	rpcprof_store_release(&entry->key, key);
}

static void erase(struct grpc_name *table, const void *pointer)
{
	struct grpc_name *entry = find(table, (uintptr_t)pointer);

	if (entry)
		/* N3 release, pairs with N4. */
		rpcprof_store_release(&entry->key, (uintptr_t)0);
}

void rpcprof_grpc_queue_set(const grpc_completion_queue *cq, uint32_t kind)
{
	if (kind != GRPC_QUEUE_UNKNOWN)
		set(rpcprof_grpc_queues, cq, kind);
	else
		erase(rpcprof_grpc_queues, cq);
}

uint32_t rpcprof_grpc_queue_kind(const grpc_completion_queue *cq)
{
	return lookup(rpcprof_grpc_queues, cq);
}

/* Handles die with their server or channel, unseen by us; the next one at the address takes the
 * entry over. */
void rpcprof_grpc_handle_set(const void *handle, uint32_t method)
{
	set(handles, handle, method);
}

uint32_t rpcprof_grpc_handle_method(const void *handle)
{
	return lookup(handles, handle);
}
