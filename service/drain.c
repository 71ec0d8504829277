/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain: finished calls leave the ring in batches, which stay here until they are acknowledged.
 *
 * A batch is one message, made once. Those of before that were not acknowledged are sent again
 * first. While HELD_MAX bytes wait the stream ends, and the calls stay in the ring: whoever wants
 * them acknowledges and drains again. The latest Drain is the one that goes on; one before it is
 * told so at its next message.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "export/dump_internal.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "service/service_internal.h"

#define HELD_MAX (8u << 20)
#define STAMP_MAX 32u /* bytes of session and number */

struct batch {
	struct batch *next;
	uint64_t number;
	uint64_t calls;
	size_t length;
	uint32_t readers; /* that are sending it; 1 more while it is held */
	uint8_t bytes[];  /* a DrainResponse */
};

static struct {
	pthread_mutex_t lock;
	uint64_t session;
	uint64_t made;       /* batches: the number of the last */
	uint64_t drains;     /* begun: the last one is the one that goes on */
	struct batch *held, **end; /* by number */
	size_t held_bytes;
	struct batch *spare; /* the next batch; holds the call that the last had no room for, if any */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = &state.held};

struct drain {
	uint64_t turn;   /* of state.drains */
	uint64_t sent;   /* the number of the last batch */
	struct batch *sending;
};

static void let_go(struct batch *batch)
{
	if (batch != NULL && --batch->readers == 0)
		free(batch);
}

static void forget_until(uint64_t number)
{
	while (state.held != NULL && state.held->number <= number) {
		struct batch *batch = state.held;

		state.held = batch->next;
		if (state.held == NULL)
			state.end = &state.held;
		state.held_bytes -= batch->length;
		let_go(batch);
	}
}

uint64_t service_drain_held(void)
{
	uint64_t calls = 0;

	pthread_mutex_lock(&state.lock);
	for (const struct batch *batch = state.held; batch != NULL; batch = batch->next)
		calls += batch->calls;
	if (state.spare != NULL)
		calls += state.spare->calls;
	pthread_mutex_unlock(&state.lock);
	return calls;
}

/* The parent will deliver them. */
void service_drain_forget(void)
{
	pthread_mutex_init(&state.lock, NULL);
	forget_until(UINT64_MAX);
	free(state.spare);
	state.spare = NULL;
	state.session = 0;
	state.made = 0;
}

static struct batch *make_batch(void)
{
	struct batch *batch = malloc(sizeof(*batch) + SERVICE_PIECE_BYTES);

	if (batch != NULL)
		*batch = (struct batch){.readers = 1};
	return batch;
}

/* Both batches are there before a call leaves the ring: what the first has no room for goes to the
 * next. False: no memory, and nothing was taken. */
static bool make_batches(struct batch **next)
{
	if (state.spare == NULL)
		state.spare = make_batch();
	*next = make_batch();
	if (state.spare != NULL && *next != NULL)
		return true;
	free(*next);
	return false;
}

struct filler {
	struct batch *batch, *next;
	struct dump_source source;
};

/* A dump's message of one call is a batch's too; they are put one after the other. */
static bool add(struct batch *batch, const struct dump_call *call)
{
	size_t room = SERVICE_PIECE_BYTES - STAMP_MAX - batch->length;
	size_t length = rpcprof_dump_pack(&(struct dump_part){.call = call},
	                                  batch->bytes + batch->length, room);

	if (length == 0 || length > room)
		return false;
	batch->length += length;
	batch->calls++;
	return true;
}

static int take(void *arg, const struct rpcprof_view *view)
{
	struct filler *filler = arg;
	struct dump_call call;

	rpcprof_dump_fill_call(&filler->source, &call, view, false);
	if (add(filler->batch, &call))
		return 0;
	(void)add(filler->next, &call);
	return 1;
}

/* The session and the number of a batch that is full, or all there was. */
static void stamp(struct batch *batch)
{
	Rpcprof__V1__DrainResponse response = RPCPROF__V1__DRAIN_RESPONSE__INIT;

	while (state.session == 0)
		if (getrandom(&state.session, sizeof(state.session), 0) < 0)
			state.session = (uint64_t)getpid();
	response.session = state.session;
	response.batch = batch->number = ++state.made;
	batch->length += rpcprof__v1__drain_response__pack(&response,
	                                                   batch->bytes + batch->length);
}

static void hold(struct batch *batch)
{
	struct batch *smaller = realloc(batch, sizeof(*batch) + batch->length);

	batch = smaller != NULL ? smaller : batch;
	state.held_bytes += batch->length;
	*state.end = batch;
	state.end = &batch->next;
}

/* Makes the next batch of what is in the ring, if there is anything. False: no memory. */
static bool fill(void)
{
	struct filler filler;

	if (rpcprof_clock_map_get(&filler.source.map) != 0 || !make_batches(&filler.next))
		return false;
	filler.batch = state.spare;
	(void)rpcprof_drain(take, &filler);
	if (filler.batch->calls == 0) {
		free(filler.next);
		return true;
	}
	state.spare = filler.next;
	stamp(filler.batch);
	hold(filler.batch);
	return true;
}

/* The first batch held that comes after the last one sent; NULL if there is none. */
static struct batch *find(const struct drain *drain)
{
	struct batch *batch = state.held;

	while (batch != NULL && batch->number <= drain->sent)
		batch = batch->next;
	return batch;
}

static int send_next(struct rpcprof_service_call *call, struct drain *drain)
{
	struct batch *batch = find(drain);

	if (drain->turn != state.drains)
		return service_fail(call, SERVICE_ABORTED, "another Drain has taken over; what was "
		                    "not acknowledged goes there");
	if (batch == NULL && state.held_bytes < HELD_MAX && !fill())
		return service_fail_memory(call);
	if (batch == NULL)
		batch = find(drain);
	let_go(drain->sending);
	drain->sending = batch;
	if (batch == NULL)
		return 0;
	batch->readers++;
	drain->sent = batch->number;
	call->answer = batch->bytes;
	call->length = batch->length;
	return 1;
}

int service_drain_next(struct rpcprof_service_call *call)
{
	int more;

	pthread_mutex_lock(&state.lock);
	more = send_next(call, call->state);
	pthread_mutex_unlock(&state.lock);
	return more;
}

static int acknowledge(struct rpcprof_service_call *call, const Rpcprof__V1__DrainRequest *request)
{
	if (request->session == 0)
		return 0;
	if (request->session != state.session)
		return service_fail(call, SERVICE_FAILED_PRECONDITION,
		                    "session %" PRIx64 " is not of this process; drain with session 0",
		                    request->session);
	if (request->batch > state.made)
		return service_fail(call, SERVICE_INVALID_ARGUMENT,
		                    "batch %" PRIu64 " was never sent; the last one was %" PRIu64,
		                    request->batch, state.made);
	forget_until(request->batch);
	return 0;
}

int service_drain_begin(struct rpcprof_service_call *call, const void *request)
{
	struct drain *drain = call->state = calloc(1, sizeof(*drain));

	if (drain == NULL)
		return service_fail_memory(call);
	pthread_mutex_lock(&state.lock);
	acknowledge(call, request);
	if (call->status == SERVICE_OK)
		drain->turn = ++state.drains;
	pthread_mutex_unlock(&state.lock);
	return 0;
}

void service_drain_end(struct rpcprof_service_call *call, bool delivered)
{
	struct drain *drain = call->state;

	(void)delivered;
	if (drain == NULL)
		return;
	pthread_mutex_lock(&state.lock);
	let_go(drain->sending);
	pthread_mutex_unlock(&state.lock);
	free(drain);
}
