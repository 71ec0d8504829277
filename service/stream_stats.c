/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GetStreamStats of grpc-go: takes finished calls out, and tells them in its form. What an answer
 * has no room for, or what did not arrive, is held for the next one. One answer is on its way at a
 * time, and the next waits until it is known whether that arrived: a server learns it after the
 * client, who may have asked again by then.
 *
 * Its readers ask more of a Stat than its schema says (profiling/cmd/catapult.go):
 *   - metadata of 12 bytes at least, and a timer at least, or they panic;
 *   - a thread that is not 0, or the timer is drawn in the wrong place;
 *   - they take the last Stat, by connection and begin, for their own call and drop it.
 * So each call has a timer "/" for all of it, and the answer ends with a Stat to be dropped.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/dump_proto_internal.h"
#include "grpc_go_profiling.pb-c.h"
#include "rpcprof/control.h"
#include "service/service_internal.h"

#define STAT_MAX (256u << 10) /* of any call, repaired names included */
#define LAST_MAX 128u         /* of the Stat to be dropped */
#define TIMERS (DUMP_SOURCE_STAGES + 1)
#define METADATA 12

/* Of an answer for the one before it: looks, ever further apart, and all in all. */
#define WAIT_FIRST_NS UINT64_C(200000)
#define WAIT_MOST_NS UINT64_C(50000000)
#define WAIT_ALL_NS UINT64_C(5000000000)

typedef Grpc__Go__Profiling__V1alpha__Stat go_stat;
typedef Grpc__Go__Profiling__V1alpha__Timer go_timer;
typedef Grpc__Go__Profiling__V1alpha__GetStreamStatsResponse go_response;

/* Packed Stats, one after the other: as a whole a response. */
static struct {
	pthread_mutex_t lock;
	uint8_t *bytes;
	size_t length, room;
	bool busy; /* an answer is on its way: what is held is at most that, and one Stat */
} held = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct answer {
	struct rpcprof_service_call *call;
	struct dump_source source;
	size_t stats; /* bytes of them, without the one to be dropped */
	uint64_t waited_ns;
};

void service_stats_forget(void)
{
	pthread_mutex_init(&held.lock, NULL);
	free(held.bytes);
	held.bytes = NULL;
	held.length = held.room = 0;
	held.busy = false;
}

static void fill_timer(go_timer *timer, char *tag, int64_t begin_ns, uint64_t duration_ns,
                       uint32_t thread)
{
	int64_t end_ns = begin_ns + (int64_t)duration_ns;

	grpc__go__profiling__v1alpha__timer__init(timer);
	timer->tags = tag;
	timer->begin_sec = begin_ns / 1000000000;
	timer->begin_nsec = (int32_t)(begin_ns % 1000000000);
	timer->end_sec = end_ns / 1000000000;
	timer->end_nsec = (int32_t)(end_ns % 1000000000);
	timer->go_id = thread != 0 ? (int64_t)thread : getpid();
}

/* Packs a response of one Stat if there is room. Returns its length. */
static size_t pack(go_stat *stat, uint8_t *out, size_t room)
{
	go_response response = GRPC__GO__PROFILING__V1ALPHA__GET_STREAM_STATS_RESPONSE__INIT;
	size_t length;

	response.n_stream_stats = 1;
	response.stream_stats = &stat;
	length = grpc__go__profiling__v1alpha__get_stream_stats_response__get_packed_size(&response);
	if (length <= room)
		grpc__go__profiling__v1alpha__get_stream_stats_response__pack(&response, out);
	return length;
}

/* By convention; a call without gets what no other has. */
static void fill_metadata(uint8_t metadata[RPCPROF_METADATA_MAX], go_stat *stat,
                          const struct dump_call *call)
{
	memset(metadata, 0, METADATA);
	memcpy(metadata, call->metadata, call->metadata_bytes);
	for (size_t i = 0; call->metadata_bytes == 0 && i < 8; i++)
		metadata[4 + i] = (uint8_t)(call->id >> (56 - 8 * i));
	stat->metadata.data = metadata;
	stat->metadata.len = call->metadata_bytes < METADATA ? METADATA : call->metadata_bytes;
}

static size_t pack_call(const struct dump_call *call, uint8_t *out, size_t room)
{
	go_stat stat = GRPC__GO__PROFILING__V1ALPHA__STAT__INIT;
	go_timer timer[TIMERS], *timers[TIMERS];
	struct dump_texts texts = {NULL, false};
	uint8_t metadata[RPCPROF_METADATA_MAX];
	size_t length;

	fill_timer(&timer[0], (char *)(uintptr_t)"/", call->begin_utc_ns, call->duration_ns,
	           call->stage_count != 0 ? call->stages[0].thread : 0);
	for (uint32_t i = 0; i < call->stage_count; i++) {
		const struct dump_stage *stage = &call->stages[i];

		fill_timer(&timer[i + 1], rpcprof_dump_text(&texts, stage->tag),
		           call->begin_utc_ns + stage->offset_ns, stage->duration_ns,
		           stage->thread);
	}
	for (uint32_t i = 0; i <= call->stage_count; i++)
		timers[i] = &timer[i];
	stat.tags = rpcprof_dump_text(&texts, call->side);
	stat.n_timers = call->stage_count + 1;
	stat.timers = timers;
	fill_metadata(metadata, &stat, call);
	length = pack(&stat, out, room);
	rpcprof_dump_texts_free(&texts);
	return length;
}

/* The Stat that sorts last. */
static size_t pack_last(const struct dump_source *source, uint8_t *out, size_t room)
{
	go_stat stat = GRPC__GO__PROFILING__V1ALPHA__STAT__INIT;
	go_timer timer, *timers = &timer;
	uint8_t metadata[METADATA];

	fill_timer(&timer, (char *)(uintptr_t)"/",
	           rpcprof_clock_utc_ns(&source->map, rpcprof_clock_now(), NULL), 0, 0);
	memset(metadata, 0xff, sizeof(metadata));
	stat.tags = (char *)(uintptr_t)"server";
	stat.n_timers = 1;
	stat.timers = &timers;
	stat.metadata.data = metadata;
	stat.metadata.len = sizeof(metadata);
	return pack(&stat, out, room);
}

/* How long the first packed Stat is: a tag of one byte, a length, a message. */
static size_t first_stat(const uint8_t *bytes)
{
	size_t at = 1, length = 0;

	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte = bytes[at++];

		length |= (size_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return at + length;
	}
}

static bool reserve(size_t more)
{
	uint8_t *larger;

	if (held.room - held.length >= more)
		return true;
	larger = realloc(held.bytes, held.length + more);
	if (larger == NULL)
		return false;
	held.bytes = larger;
	held.room = held.length + more;
	return true;
}

/* As many whole Stats as fit leave what is held for the answer. */
static void take_held(struct answer *answer, size_t room)
{
	size_t taken = 0, next;

	while (taken < held.length &&
	       (next = taken + first_stat(held.bytes + taken)) <= room)
		taken = next;
	if (taken == 0)
		return;
	memcpy(answer->call->bytes, held.bytes, taken);
	memmove(held.bytes, held.bytes + taken, held.length - taken);
	held.length -= taken;
	answer->stats = taken;
}

static int take(void *arg, const struct rpcprof_view *view)
{
	struct answer *answer = arg;
	struct rpcprof_service_call *call = answer->call;
	size_t room = call->answer_max - LAST_MAX - answer->stats;
	struct dump_call of;
	size_t length;

	rpcprof_dump_fill_call(&answer->source, &of, view, false);
	length = pack_call(&of, call->bytes + answer->stats, room);
	if (length <= room) {
		answer->stats += length;
		return 0;
	}
	held.length += pack_call(&of, held.bytes + held.length, held.room - held.length);
	return 1;
}

/* -EAGAIN, or that it was too long. */
static int wait_for_other(struct answer *answer)
{
	struct rpcprof_service_call *call = answer->call;

	if (answer->waited_ns >= WAIT_ALL_NS)
		return service_fail(call, SERVICE_ABORTED,
		                    "another GetStreamStats is under way; ask again when it is "
		                    "done");
	call->wait_ns = call->wait_ns == 0 ? WAIT_FIRST_NS : 2 * call->wait_ns;
	if (call->wait_ns > WAIT_MOST_NS)
		call->wait_ns = WAIT_MOST_NS;
	answer->waited_ns += call->wait_ns;
	return -EAGAIN;
}

/* Under the lock of what is held. As service_stats_next(). */
static int fill(struct answer *answer)
{
	struct rpcprof_service_call *call = answer->call;

	if (held.busy)
		return wait_for_other(answer);
	take_held(answer, call->answer_max - LAST_MAX);
	if (held.length == 0 && reserve(STAT_MAX))
		(void)rpcprof_drain(take, answer);
	else if (answer->stats == 0)
		return service_fail_memory(call);
	held.busy = answer->stats != 0;
	return 1;
}

int service_stats_begin(struct rpcprof_service_call *call, const void *request)
{
	struct answer *answer = call->state = calloc(1, sizeof(*answer));

	(void)request;
	call->answer = call->bytes = malloc(call->answer_max);
	if (answer == NULL || call->bytes == NULL ||
	    rpcprof_clock_map_get(&answer->source.map) != 0)
		return service_fail_memory(call);
	answer->call = call;
	return 0;
}

int service_stats_next(struct rpcprof_service_call *call)
{
	struct answer *answer = call->state;
	int more;

	if (call->given)
		return 0;
	pthread_mutex_lock(&held.lock);
	more = fill(answer);
	pthread_mutex_unlock(&held.lock);
	if (more != 1)
		return more;
	call->given = true;
	call->length = answer->stats;
	if (answer->stats != 0)
		call->length += pack_last(&answer->source, call->bytes + answer->stats, LAST_MAX);
	return 1;
}

void service_stats_end(struct rpcprof_service_call *call, bool delivered)
{
	struct answer *answer = call->state;

	if (answer != NULL && answer->stats != 0) {
		pthread_mutex_lock(&held.lock);
		if (!delivered && reserve(answer->stats)) {
			memcpy(held.bytes + held.length, call->bytes, answer->stats);
			held.length += answer->stats;
		}
		held.busy = false;
		pthread_mutex_unlock(&held.lock);
	}
	free(answer);
}
