/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an opaque pointer of core's stands for: the kind of a queue, the method of a handle.
 *
 * Open addressing. Readers take no lock; writers, who make and destroy queues and register
 * methods, take a mutex. A reader asks only for a pointer that is alive, whose entry therefore
 * does not change meanwhile; other entries may, and it passes over them whatever they hold.
 * A removed key leaves a mark, so that chains stay whole; marks at the end of a chain go away.
 */
#include <pthread.h>

#include "rpc/grpc_internal.h"

#define ENTRIES 2048 /* a power of two; full is: not known */
#define REMOVED 1u   /* a key that no pointer of core's can be */

struct entry {
	uintptr_t key; /* 0 = never used: the end of a chain */
	uint32_t value;
};

static struct entry queues[ENTRIES], handles[ENTRIES];
static pthread_mutex_t writers = PTHREAD_MUTEX_INITIALIZER;

static unsigned home_of(uintptr_t key)
{
	return (unsigned)((uint64_t)key * 0x9e3779b97f4a7c15u >> 40) % ENTRIES;
}

static struct entry *find(struct entry *table, uintptr_t key)
{
	for (unsigned i = 0, at = home_of(key); i < ENTRIES; i++, at = (at + 1) % ENTRIES) {
		/* N1 acquire, pairs with N2: the value before the key. */
		uintptr_t there = rpcprof_load_acquire(&table[at].key);

		if (there == key)
			return &table[at];
		if (there == 0)
			return NULL;
	}
	return NULL;
}

static uint32_t lookup(struct entry *table, const void *pointer)
{
	struct entry *entry = find(table, (uintptr_t)pointer);

	return entry ? rpcprof_load_relaxed(&entry->value) : 0;
}

static struct entry *free_entry(struct entry *table, uintptr_t key)
{
	for (unsigned i = 0, at = home_of(key); i < ENTRIES; i++, at = (at + 1) % ENTRIES)
		if (table[at].key <= REMOVED)
			return &table[at];
	return NULL;
}

static void store(struct entry *table, uintptr_t key, uint32_t value)
{
	struct entry *entry = find(table, key);

	if (!entry)
		entry = free_entry(table, key);
	if (!entry)
		return;
	rpcprof_store_relaxed(&entry->value, value);
	/* N2 release, pairs with N1. */
	rpcprof_store_release(&entry->key, key);
}

static void erase(struct entry *table, uintptr_t key)
{
	struct entry *entry = find(table, key);
	unsigned at;

	if (!entry)
		return;
	/* relaxed, here and below: nobody asks for the key any more */
	rpcprof_store_relaxed(&entry->key, (uintptr_t)REMOVED);
	at = (unsigned)(entry - table);
	if (table[(at + 1) % ENTRIES].key != 0)
		return;
	for (; table[at].key == REMOVED; at = (at + ENTRIES - 1) % ENTRIES)
		rpcprof_store_relaxed(&table[at].key, (uintptr_t)0);
}

static void set(struct entry *table, const void *pointer, uint32_t value)
{
	if (!pointer)
		return;
	pthread_mutex_lock(&writers);
	if (value != 0)
		store(table, (uintptr_t)pointer, value);
	else
		erase(table, (uintptr_t)pointer);
	pthread_mutex_unlock(&writers);
}

void rpcprof_grpc_queue_set(const grpc_completion_queue *cq, uint32_t kind)
{
	set(queues, cq, kind);
}

uint32_t rpcprof_grpc_queue_kind(const grpc_completion_queue *cq)
{
	return lookup(queues, cq);
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
