/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_SERVICE_HARNESS_H
#define RPCPROF_TESTS_SERVICE_HARNESS_H

/* What the tests of the service share: to ask it, and calls to ask about. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "grpc_go_profiling.pb-c.h"
#include "rpcprof/rpcprof.h"
#include "rpcprof/service.h"
#include "rpcprof/v1/profiling.pb-c.h"

#define OURS "/rpcprof.v1.Profiling/"
#define GO "/grpc.go.profiling.v1alpha.Profiling/"

static inline void start(void)
{
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

/* A finished call with two stages. */
static inline void record(const char *method, int32_t status)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	rpcprof_stat_set_connection(stat, 7, 9);
	rpcprof_lap(stat, RPCPROF_TAG("/decode"));
	rpcprof_lap(stat, RPCPROF_TAG("/handler"));
	rpcprof_stat_set_status(stat, status);
	rpcprof_stat_end(stat);
}

#define MANY 8000 /* of record_many(): more than one message */

/* Of a long name: some thousands take more than one message. */
static inline void record_many(uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		record("/company.department.team.project.v1.component.SomeServiceWithALongName/"
		       "SomeMethodWithAnEvenLongerNameThatSaysAllThatThereIsToSayOfWhatItDoes", 0);
}

/* A request, as a transport asks it. */
struct asked {
	struct rpcprof_service_call *call;
	const void *bytes; /* of the latest message */
	size_t length;
};

static inline struct asked ask_bytes(const char *method, uint32_t permission, const void *bytes,
                                     size_t length, uint32_t answer_max)
{
	struct rpcprof_service_request request = {.size = sizeof(request),
	                                          .method = method,
	                                          .method_bytes = strlen(method),
	                                          .bytes = bytes,
	                                          .length = length,
	                                          .permission = permission,
	                                          .answer_max = answer_max};
	struct asked asked = {0};

	cr_assert_eq(rpcprof_service_begin(&asked.call, &request), 0);
	return asked;
}

static inline struct asked ask(const char *method, const ProtobufCMessage *message)
{
	uint8_t bytes[4096];

	cr_assert_leq(protobuf_c_message_get_packed_size(message), sizeof(bytes));
	return ask_bytes(method, RPCPROF_MAY_CONTROL, bytes,
	                 protobuf_c_message_pack(message, bytes), 0);
}

/* Whether there is another message; waits for it. */
static inline bool more(struct asked *asked)
{
	int status;

	while ((status = rpcprof_service_next(asked->call, &asked->bytes, &asked->length)) ==
	       -EAGAIN) {
		uint64_t wait = rpcprof_service_wait_ns(asked->call);
		struct timespec time = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};

		nanosleep(&time, NULL);
	}
	return status == 1;
}

static inline int32_t status_of(const struct asked *asked)
{
	const char *message;
	int32_t status = rpcprof_service_status(asked->call, &message);

	cr_assert_eq(status == 0, message[0] == '\0');
	return status;
}

/* Ends it; its status. */
static inline int32_t done(struct asked *asked)
{
	int32_t status = status_of(asked);

	rpcprof_service_end(asked->call, true);
	return status;
}

/* The status of a request of which no message comes. */
static inline int32_t refused(struct asked asked)
{
	cr_assert_not(more(&asked));
	return done(&asked);
}

/* All messages of an answer as one: they are made to be put together so. */
struct whole {
	uint8_t *bytes;
	size_t length;
	size_t messages;
	size_t longest;
};

static inline struct whole all_of(struct asked asked)
{
	struct whole whole = {0};

	while (more(&asked)) {
		whole.bytes = realloc(whole.bytes, whole.length + asked.length + 1);
		memcpy(whole.bytes + whole.length, asked.bytes, asked.length);
		whole.length += asked.length;
		whole.messages++;
		whole.longest = asked.length > whole.longest ? asked.length : whole.longest;
	}
	cr_assert_eq(done(&asked), 0);
	return whole;
}

static inline Rpcprof__V1__Dump *dump_of(struct asked asked)
{
	struct whole whole = all_of(asked);
	Rpcprof__V1__Dump *dump = rpcprof__v1__dump__unpack(NULL, whole.length, whole.bytes);

	cr_assert_not_null(dump);
	free(whole.bytes);
	return dump;
}

static inline Rpcprof__V1__StatusResponse *ask_status(void)
{
	Rpcprof__V1__StatusRequest request = RPCPROF__V1__STATUS_REQUEST__INIT;
	struct whole whole = all_of(ask(OURS "Status", &request.base));
	Rpcprof__V1__StatusResponse *status =
		rpcprof__v1__status_response__unpack(NULL, whole.length, whole.bytes);

	cr_assert_not_null(status);
	free(whole.bytes);
	return status;
}

#endif
