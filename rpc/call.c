/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/call.h"

#include <string.h>

#include "atomic_internal.h"

/* rpcprof_call.has_status */
enum { NO_STATUS = 0, ANSWERED = 1, ABORTED = 2 };

uint32_t rpcprof_call_declare_method(const char *name, size_t bytes)
{
	return rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, bytes);
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
	method = rpcprof_tag_find(name, bytes);
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

void rpcprof_call_set_connection(struct rpcprof_call *call, uint64_t connection)
{
	static uint32_t numbers __attribute__((aligned(RPCPROF_CACHE_LINE)));

	if (rpcprof_stat_is_null(call->stat))
		return;
	/* relaxed: only has to be another number each time */
	rpcprof_stat_set_connection(call->stat, connection, rpcprof_add_relaxed(&numbers, 1u) + 1);
}

/* FNV-1a, 64 bits: short names, nobody gains by a collision. */
uint64_t rpcprof_call_connection(const void *name, size_t bytes)
{
	const unsigned char *p = name;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ p[i]) * 0x100000001b3u;
	return hash;
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
