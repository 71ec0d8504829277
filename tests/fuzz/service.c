/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of strangers, of any method, permission and bytes, many at a time, given up anywhere:
 * each gets a status; what comes is a message of the method's type and not longer than was asked;
 * calls that leave the ring are told once, to whoever says that it received them.
 */
#include "tests/fuzz/fuzz_internal.h"

#include <errno.h>

#include "grpc_go_profiling.pb-c.h"
#include "rpcprof/control.h"
#include "rpcprof/rpcprof.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "service/service_internal.h"
#include "stats/arena_internal.h"

#define SLOTS 32 /* more than are let in at a time */
#define OURS_MAX (1u << 20)

/* The order of rpcprof_service_method(). */
enum { STATUS, ENABLE, SNAPSHOT, IN_FLIGHT, PROFILE, DRAIN, GO_ENABLE, GO_STATS, METHODS };

static const ProtobufCMessageDescriptor *const answers[METHODS] = {
	&rpcprof__v1__status_response__descriptor,
	&rpcprof__v1__enable_response__descriptor,
	&rpcprof__v1__dump__descriptor,
	&rpcprof__v1__dump__descriptor,
	&rpcprof__v1__profile_response__descriptor,
	&rpcprof__v1__drain_response__descriptor,
	&grpc__go__profiling__v1alpha__enable_response__descriptor,
	&grpc__go__profiling__v1alpha__get_stream_stats_response__descriptor,
};

/* A request under way; without a call there is none. */
static struct asked {
	struct rpcprof_service_call *call;
	uint32_t method;  /* METHODS: none that there is */
	uint64_t in_hand; /* calls that a GetStreamStats gave */
} asked[SLOTS];

static uint64_t session, batch; /* the newest that a Drain gave */
static uint64_t told;           /* calls, by Drain and GetStreamStats */

/* A batch may come again, to the same who did not acknowledge it. */
static void receive_batch(const Rpcprof__V1__DrainResponse *response)
{
	must(response->session != 0 && response->n_stats > 0);
	must(response->batch <= batch + 1);
	session = response->session;
	if (response->batch > batch)
		told += response->n_stats;
	if (response->batch > batch)
		batch = response->batch;
}

/* The last one is there to be dropped. */
static void receive_stats(struct asked *of, size_t count)
{
	of->in_hand = count > 0 ? count - 1 : 0;
}

static void receive(struct asked *of, const void *bytes, size_t length)
{
	ProtobufCMessage *message;

	must(of->method < METHODS);
	must(of->method == GO_STATS || length <= OURS_MAX);
	message = protobuf_c_message_unpack(answers[of->method], NULL, length, bytes);
	must(message != NULL);
	if (of->method == DRAIN)
		receive_batch((Rpcprof__V1__DrainResponse *)message);
	else if (of->method == GO_STATS)
		receive_stats(of, ((Grpc__Go__Profiling__V1alpha__GetStreamStatsResponse *)message)
		                          ->n_stream_stats);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void end(struct asked *of, int delivered)
{
	if (of->call == NULL)
		return;
	rpcprof_service_end(of->call, delivered);
	if (delivered)
		told += of->in_hand;
	*of = (struct asked){0};
}

/* Asks for the next message; true if there was one. */
static int next(struct asked *of)
{
	const void *bytes;
	const char *sentence;
	size_t length;
	int more, status;

	if (of->call == NULL)
		return 0;
	more = rpcprof_service_next(of->call, &bytes, &length);
	if (more == 1)
		receive(of, bytes, length);
	must(more == 1 || more == 0 ||
	     (more == -EAGAIN && (of->method == PROFILE || of->method == GO_STATS)));
	if (more != 0)
		return more == 1;
	status = rpcprof_service_status(of->call, &sentence);
	must(status >= 0 && status <= 16 && (status == 0) == (sentence[0] == '\0'));
	must(of->method < METHODS || status == SERVICE_UNIMPLEMENTED ||
	     status == SERVICE_UNAUTHENTICATED);
	return 0;
}

static uint32_t find(const char *method, size_t bytes)
{
	uint32_t i = 0;

	while (i < METHODS && (strlen(rpcprof_service_method(i)) != bytes ||
	                       memcmp(rpcprof_service_method(i), method, bytes) != 0))
		i++;
	return i;
}

static void begin(struct asked *of, struct rpcprof_service_request *request)
{
	int refused = request->answer_max != 0 && request->answer_max < RPCPROF_ANSWER_MAX_LEAST;

	end(of, 0);
	request->size = sizeof(*request);
	of->method = find(request->method, request->method_bytes);
	must(rpcprof_service_begin(&of->call, request) == (refused ? -EINVAL : 0));
}

/* Takes so many bytes, or what is left, to a place of their own. */
static uint8_t *take_bytes(struct taker *taker, size_t *length)
{
	uint8_t *copy;

	*length = *length < taker->left ? *length : taker->left;
	copy = copy_of(taker->bytes, *length);
	taker->bytes += *length;
	taker->left -= *length;
	return copy;
}

static void take_request(struct taker *taker, struct asked *of)
{
	static const uint32_t sizes[] = {0, RPCPROF_ANSWER_MAX_LEAST, RPCPROF_ANSWER_MAX_LEAST - 1,
	                                 UINT32_C(1) << 20};
	uint64_t head = take(taker, 1); /* permission, size of answers, method or its length */
	struct rpcprof_service_request request = {.permission = head & 3,
	                                          .answer_max = sizes[head >> 2 & 3]};
	const char *known = rpcprof_service_method(head >> 4);
	uint8_t *name, *bytes;

	request.method_bytes = known != NULL ? strlen(known) : take(taker, 1);
	name = known != NULL ? copy_of((const uint8_t *)known, request.method_bytes)
	                     : take_bytes(taker, &request.method_bytes);
	request.method = (char *)name;
	request.length = take(taker, 1);
	bytes = take_bytes(taker, &request.length);
	request.bytes = bytes;
	begin(of, &request);
	free(bytes);
	free(name);
}

static void record(uint64_t kind)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	if (kind & 1)
		rpcprof_stat_set_method(stat, RPCPROF_TAG("/a.B/\xff"));
	if (kind & 2)
		rpcprof_stat_set_connection(stat, 7, 9);
	for (uint64_t i = kind >> 2; i > 0; i--)
		rpcprof_lap(stat, RPCPROF_TAG("/decode"));
	rpcprof_stat_end(stat);
}

/* All of the answer to a request that may not fail, when no other is under way. */
static void ask(uint32_t method, const ProtobufCMessage *message)
{
	uint8_t bytes[64];
	const char *name = rpcprof_service_method(method), *sentence;
	struct rpcprof_service_request request = {
		.method = name, .method_bytes = strlen(name), .bytes = bytes,
		.length = message != NULL ? protobuf_c_message_pack(message, bytes) : 0,
		.permission = RPCPROF_MAY_CONTROL};

	begin(&asked[0], &request);
	while (next(&asked[0]))
		;
	must(rpcprof_service_status(asked[0].call, &sentence) == SERVICE_OK);
	end(&asked[0], 1);
}

/* Acknowledges, and takes out what is left, until nothing comes. */
static void take_all(void)
{
	Rpcprof__V1__DrainRequest request = RPCPROF__V1__DRAIN_REQUEST__INIT;
	uint64_t before;

	ask(GO_STATS, NULL);
	do {
		before = batch;
		request.session = session;
		request.batch = batch;
		ask(DRAIN, &request.base);
	} while (batch != before);
	must(service_drain_held() == 0);
}

static uint64_t drained(void)
{
	struct rpcprof_counters counters;

	must(rpcprof_counters_get(&counters) == 0);
	return counters.drained;
}

static void start(void)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 64};

	if (rpcprof_started())
		return;
	must(rpcprof_service_method(METHODS) == NULL);
	must(rpcprof_init(&config) == 0);
	service_per_second = UINT32_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct taker taker = {bytes, length};

	start();
	must(rpcprof_enable(true) == 0);
	while (taker.left > 0) {
		uint64_t head = take(&taker, 1); /* what, which request, whether it was received */
		struct asked *of = &asked[head >> 2 & 31];

		switch (head & 3) {
		case 0: take_request(&taker, of); break;
		case 1: (void)next(of); break;
		case 2: end(of, head >> 7 != 0); break;
		default: record(head >> 2); break;
		}
	}
	for (size_t i = 0; i < SLOTS; i++)
		end(&asked[i], 0);
	take_all();
	must(told == drained());
	return 0;
}
