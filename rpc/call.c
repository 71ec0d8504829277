/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/call.h"

#include <string.h>

#include "atomic_internal.h"

#define NUMBERS 256u

/* rpcprof_call.has_status */
enum { NO_STATUS = 0, ANSWERED = 1, ABORTED = 2 };

/* One to one in h for each word, and in the word for each h. */
static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

static uint64_t word_at(const unsigned char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* For short names, eight bytes at a time, the last eight as they lie: some of them twice. Nobody gains
 * by a collision. */
static uint64_t hash(const void *name, size_t bytes)
{
	const unsigned char *p = name, *end = p + bytes;
	uint64_t h = mix(0, bytes), word = 0;

	if (bytes >= sizeof(word)) {
		for (; end - p > (ptrdiff_t)sizeof(word); p += sizeof(word))
			h = mix(h, word_at(p));
		return mix(h, word_at(end - sizeof(word)));
	}
	while (end > p)
		word = word << 8 | *--end;
	return mix(h, word);
}

/*
 * The methods that were asked for last, by a hash that is no matter of trust: what tag.h's own
 * takes, which is, is a tenth of what a call may cost. An entry is a hint, epoch << 32 | tag: the
 * name that the tag stands for is compared, so relaxed, and whoever stores last wins.
 */
#define RECENT 256
static uint64_t recent[RECENT];

static uint32_t find_recent(const uint64_t *entry, const char *name, size_t bytes)
{
	uint64_t word = rpcprof_load_relaxed(entry);
	const char *known;
	size_t known_bytes;

	if (word >> 32 != rpcprof_load_relaxed(&rpcprof_control_page.head.tag_epoch) ||
	    (uint32_t)word == RPCPROF_TAG_NONE)
		return RPCPROF_TAG_NONE;
	known = rpcprof_tag_name((uint32_t)word, &known_bytes);
	return known_bytes == bytes && memcmp(known, name, bytes) == 0 ? (uint32_t)word
	                                                               : RPCPROF_TAG_NONE;
}

/* The tag of a method, by `look_up` if it was not asked for lately. */
static uint32_t method_of(const char *name, size_t bytes,
                          uint32_t (*look_up)(const char *name, size_t bytes))
{
	uint64_t *entry, epoch;
	uint32_t tag;

	if (name == NULL || bytes > RPCPROF_CALL_NAME_MAX)
		return look_up(name, bytes);
	entry = &recent[hash(name, bytes) % RECENT];
	tag = find_recent(entry, name, bytes);
	if (tag != RPCPROF_TAG_NONE)
		return tag;
	epoch = rpcprof_load_relaxed(&rpcprof_control_page.head.tag_epoch);
	tag = look_up(name, bytes);
	if (tag != RPCPROF_TAG_NONE)
		rpcprof_store_relaxed(entry, epoch << 32 | tag);
	return tag;
}

static uint32_t intern(const char *name, size_t bytes)
{
	return rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, bytes);
}

uint32_t rpcprof_call_declare_method(const char *name, size_t bytes)
{
	if (name != NULL && bytes == (size_t)-1)
		bytes = strlen(name);
	return method_of(name, bytes, intern);
}

bool rpcprof_call_begin_on(struct rpcprof_call *call, uint32_t side, uint64_t ticks)
{
	call->stat = rpcprof_stat_begin_on(side, ticks);
	call->has_status = NO_STATUS;
	call->name_bytes = 0;
	return !rpcprof_stat_is_null(call->stat);
}

void rpcprof_call_set_method(struct rpcprof_call *call, uint32_t method)
{
	if (rpcprof_stat_is_null(call->stat))
		return;
	call->name_bytes = 0;
	rpcprof_stat_set_method(call->stat, method);
}

void rpcprof_call_set_method_name(struct rpcprof_call *call, const char *name, size_t bytes)
{
	uint32_t method;

	if (rpcprof_stat_is_null(call->stat))
		return;
	method = method_of(name, bytes, rpcprof_tag_find);
	if (method != RPCPROF_TAG_NONE) {
		rpcprof_call_set_method(call, method);
		return;
	}
	rpcprof_call_set_method(call, RPCPROF_TAG_UNKNOWN_METHOD);
	if (bytes <= sizeof(call->name)) {
		memcpy(call->name, name, bytes);
		call->name_bytes = (uint32_t)bytes;
	}
}

/* Numbers used once, a block of them for each thread, so that threads do not meet at each call. */
static uint32_t next_number(void)
{
	static uint32_t blocks __attribute__((aligned(RPCPROF_CACHE_LINE)));
	static __thread uint32_t next __attribute__((tls_model("initial-exec")));

	/* relaxed: only has to be another one each time */
	if (next % NUMBERS == 0)
		next = rpcprof_add_relaxed(&blocks, (uint32_t)NUMBERS);
	return ++next;
}

void rpcprof_call_set_connection(struct rpcprof_call *call, uint64_t connection)
{
	if (!rpcprof_stat_is_null(call->stat))
		rpcprof_stat_set_connection(call->stat, connection, next_number());
}

uint64_t rpcprof_call_connection(const void *name, size_t bytes)
{
	return hash(name, bytes);
}

void rpcprof_call_set_status(struct rpcprof_call *call, int32_t status)
{
	call->status = status;
	call->has_status = ANSWERED;
}

void rpcprof_call_abort(struct rpcprof_call *call, int32_t status)
{
	call->status = status;
	call->has_status = ABORTED;
}

/* The moment a stranger's name is believed. Without the status, a client could fill the table by
 * asking for what does not exist; without ABORTED, by hanging up before it is told so. */
static void prove_method(struct rpcprof_call *call)
{
	if (call->name_bytes == 0 || call->has_status != ANSWERED ||
	    call->status == RPCPROF_CALL_UNIMPLEMENTED)
		return;
	rpcprof_stat_set_method(call->stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, call->name,
	                                                       call->name_bytes));
}

void rpcprof_call_end(struct rpcprof_call *call)
{
	if (rpcprof_stat_is_null(call->stat))
		return;
	prove_method(call);
	if (call->has_status != NO_STATUS)
		rpcprof_stat_set_status(call->stat, call->status);
	rpcprof_stat_end(call->stat);
	call->stat = rpcprof_stat_none_();
}

void rpcprof_call_discard(struct rpcprof_call *call)
{
	if (rpcprof_stat_is_null(call->stat))
		return;
	rpcprof_stat_discard(call->stat);
	call->stat = rpcprof_stat_none_();
}
