/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshot and InFlight: looked at piece by piece. For each message the arena is walked again from
 * where the last one ended, so that a slow reader holds one message and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "export/dump_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "service/service_internal.h"

struct snapshot {
	struct rpcprof_filter filter;
	struct dump_source source;
	struct dump_header header;
	struct dump_end end;
	uint64_t torn_before; /* of the process */
	uint64_t until;  /* ticks: calls that ended later are not part of it */
	uint64_t at, id; /* the last call told: its end and its id */
	bool in_flight;
	bool nothing; /* the filter names what does not exist */
	bool full;    /* the message is: more calls wait */
	bool last;    /* the message with the end was given */
};

static bool add(struct rpcprof_service_call *call, const struct dump_part *part)
{
	size_t room = SERVICE_PIECE_BYTES - call->length;
	size_t length = rpcprof_dump_pack(part, call->bytes + call->length, room);

	if (length == 0 || length > room)
		return false;
	call->length += length;
	return true;
}

/* Calls come in the order of their ends, and of their ids where these are equal; calls in flight
 * in that of their cells, the low halves of their ids. */
static bool is_told(const struct snapshot *snapshot, const struct rpcprof_view *view)
{
	uint64_t end = rpcprof_view_end(view);

	if (snapshot->in_flight)
		return (uint32_t)view->id <= (uint32_t)snapshot->id;
	return end < snapshot->at || (end == snapshot->at && view->id <= snapshot->id);
}

static int tell(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_service_call *call = arg;
	struct snapshot *snapshot = call->state;
	struct dump_call of;

	if (is_told(snapshot, view))
		return 0;
	if (!snapshot->in_flight && (int64_t)(rpcprof_view_end(view) - snapshot->until) > 0) {
		if (snapshot->filter.last == 0)
			return 1;
		snapshot->until = rpcprof_view_end(view); /* of the last N, chosen later */
	}
	rpcprof_dump_fill_call(&snapshot->source, &of, view, snapshot->in_flight);
	if (!add(call, &(struct dump_part){.call = &of})) {
		snapshot->full = true;
		return 1;
	}
	snapshot->at = rpcprof_view_end(view);
	snapshot->id = view->id;
	snapshot->end.calls++;
	if (of.date_error_ns > snapshot->end.date_error_ns)
		snapshot->end.date_error_ns = of.date_error_ns;
	return 0;
}

static int tell_all(struct rpcprof_service_call *call, struct snapshot *snapshot)
{
	struct rpcprof_filter *filter = &snapshot->filter;
	int64_t told;

	snapshot->full = false;
	if (snapshot->nothing)
		return 0;
	told = snapshot->in_flight ? rpcprof_inflight(filter, tell, call)
	                           : rpcprof_snapshot(filter, tell, call);
	/* "The last N" were chosen; newer ones must not push them out of the next message. */
	filter->last = 0;
	return told < 0 ? -1 : 0;
}

int service_snapshot_next(struct rpcprof_service_call *call)
{
	struct snapshot *snapshot = call->state;
	struct rpcprof_counters counters;
	bool first = snapshot->id == 0;

	if (snapshot->last)
		return 0;
	call->length = 0;
	if (first && !add(call, &(struct dump_part){.header = &snapshot->header}))
		return service_fail_memory(call);
	if (tell_all(call, snapshot) != 0 || (snapshot->full && call->length == 0))
		return service_fail_memory(call);
	(void)rpcprof_counters_get(&counters);
	snapshot->end.torn = counters.torn - snapshot->torn_before;
	if (!snapshot->full)
		snapshot->last = add(call, &(struct dump_part){.end = &snapshot->end});
	return 1;
}

void service_snapshot_end(struct rpcprof_service_call *call, bool delivered)
{
	(void)delivered;
	free(call->state);
}

/* The tag of a name; *nothing: no call can have it. */
static uint32_t find(const char *name, bool *nothing)
{
	uint32_t tag = name[0] != '\0' ? rpcprof_tag_find(name, (size_t)-1) : 0;

	*nothing = *nothing || (name[0] != '\0' && tag == 0);
	return tag;
}

static void set_filter(struct snapshot *snapshot, const Rpcprof__V1__Filter *from)
{
	struct rpcprof_filter *filter = &snapshot->filter;

	filter->size = sizeof(*filter);
	if (from == NULL)
		return;
	filter->side = find(from->side, &snapshot->nothing);
	filter->method = find(from->method, &snapshot->nothing);
	filter->by_status = from->status != NULL;
	filter->status = from->status != NULL ? from->status->code : 0;
	filter->min_duration_ns = from->min_duration_ns;
}

static int begin(struct rpcprof_service_call *call, const Rpcprof__V1__Filter *filter,
                 uint32_t last, bool in_flight)
{
	struct snapshot *snapshot = call->state = calloc(1, sizeof(*snapshot));
	struct rpcprof_counters counters;

	call->bytes = malloc(SERVICE_PIECE_BYTES);
	if (snapshot == NULL || call->bytes == NULL ||
	    rpcprof_clock_map_get(&snapshot->source.map) != 0 ||
	    rpcprof_counters_get(&counters) != 0 ||
	    rpcprof_dump_fill_header(&snapshot->source, &snapshot->header, &counters) != 0)
		return service_fail_memory(call);
	call->answer = call->bytes;
	snapshot->torn_before = counters.torn;
	snapshot->until = rpcprof_clock_now();
	snapshot->in_flight = in_flight;
	set_filter(snapshot, filter);
	snapshot->filter.last = last;
	return 0;
}

int service_snapshot_begin(struct rpcprof_service_call *call, const void *message)
{
	const Rpcprof__V1__SnapshotRequest *request = message;

	return begin(call, request->filter, request->last, false);
}

int service_inflight_begin(struct rpcprof_service_call *call, const void *message)
{
	const Rpcprof__V1__InFlightRequest *request = message;

	return begin(call, request->filter, 0, true);
}
