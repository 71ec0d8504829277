/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of strangers, one after the other: each gets a status and, if it is not OK, a sentence;
 * every message of an answer is of its limit, and one that can be read; calls are neither lost nor
 * told twice, however they are taken.
 */
#include <errno.h>

#include "tests/fuzz/fuzz_internal.h"

#include "grpc_go_profiling.pb-c.h"
#include "rpcprof/rpcprof.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "service/service_internal.h"

#define CALLS 40 /* for each input */

static const struct {
	const ProtobufCMessageDescriptor *answer;
	size_t most;
} methods[] = {
	{&rpcprof__v1__status_response__descriptor, 1u << 20},
	{&rpcprof__v1__enable_response__descriptor, 1u << 20},
	{&rpcprof__v1__dump__descriptor, 1u << 20},
	{&rpcprof__v1__dump__descriptor, 1u << 20},
	{&rpcprof__v1__profile_response__descriptor, 1u << 20},
	{&rpcprof__v1__drain_response__descriptor, 1u << 20},
	{&grpc__go__profiling__v1alpha__enable_response__descriptor, 1u << 20},
	{&grpc__go__profiling__v1alpha__get_stream_stats_response__descriptor,
         RPCPROF_ANSWER_MAX_LEAST},
};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

/* Calls that an answer took away for good. */
static uint64_t taken;

static void record(void)
{
	(void)rpcprof_enable(true);
	for (int i = 0; i < CALLS; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		rpcprof_lap(stat, RPCPROF_TAG("/handler"));
		rpcprof_stat_end(stat);
	}
}

static void check_message(size_t method, const void *bytes, size_t length)
{
	ProtobufCMessage *message;

	must(length <= methods[method].most);
	message = protobuf_c_message_unpack(methods[method].answer, NULL, length, bytes);
	must(message != NULL);
	if (methods[method].answer ==
	    &grpc__go__profiling__v1alpha__get_stream_stats_response__descriptor) {
		size_t stats = ((Grpc__Go__Profiling__V1alpha__GetStreamStatsResponse *)message)
		                       ->n_stream_stats;

		taken += stats != 0 ? stats - 1 : 0;
	}
	protobuf_c_message_free_unpacked(message, NULL);
}

static void ask(size_t method, uint32_t permission, const uint8_t *bytes, size_t length)
{
	struct rpcprof_service_request request = {.size = sizeof(request),
	                                          .method = rpcprof_service_method(method),
	                                          .bytes = bytes,
	                                          .length = length,
	                                          .permission = permission,
	                                          .answer_max = RPCPROF_ANSWER_MAX_LEAST};
	struct rpcprof_service_call *call;
	const char *message;
	const void *answer;
	size_t answer_length;
	int more;

	request.method_bytes = strlen(request.method);
	must(rpcprof_service_begin(&call, &request) == 0);
	while ((more = rpcprof_service_next(call, &answer, &answer_length)) == 1)
		check_message(method, answer, answer_length);
	must(more == 0 || more == -EAGAIN); /* a profile may take an hour: given up */
	must((rpcprof_service_status(call, &message) == 0) == (message[0] == '\0'));
	if (permission == RPCPROF_MAY_NOTHING)
		must(rpcprof_service_status(call, &message) == SERVICE_UNAUTHENTICATED);
	rpcprof_service_end(call, true);
}

/* Everything that is still here: in the ring, or held until it is acknowledged. */
static int count(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct taker taker = {bytes, length};
	struct rpcprof_counters before, after;
	uint64_t here = 0;

	if (rpcprof_init(NULL) == 0)
		service_per_second = UINT32_MAX;
	must(rpcprof_counters_get(&before) == 0);
	record();
	while (taker.left > 0) {
		size_t method = take(&taker, 1) % METHODS;
		uint32_t permission = (uint32_t)take(&taker, 1) % 3;
		size_t size = take(&taker, 1);
		uint8_t *copy;

		size = size < taker.left ? size : taker.left;
		copy = copy_of(taker.bytes, size);
		ask(method, permission, copy, size);
		free(copy);
		taker.bytes += size;
		taker.left -= size;
	}
	must(rpcprof_counters_get(&after) == 0);
	(void)rpcprof_snapshot(NULL, count, &here);
	must(after.pushed == after.displaced + after.drained + here);
	must(taken <= after.drained);
	return 0;
}
