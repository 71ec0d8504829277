/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the method of a request, and keeps the limits: size, rate, number at a time. */
#include "service/service_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "grpc_go_profiling.pb-c.h"
#include "rpcprof/control.h"
#include "rpcprof/v1/profiling.pb-c.h"

#define REQUEST_MAX (16u << 10)
#define CALLS_MAX 16u

#define OURS "/rpcprof.v1.Profiling/"
#define GO "/grpc.go.profiling.v1alpha.Profiling/"

static const struct service_method methods[] = {
	{OURS "Status", &rpcprof__v1__status_request__descriptor, RPCPROF_MAY_READ,
         service_status_begin, NULL, NULL},
	{OURS "Enable", &rpcprof__v1__enable_request__descriptor, RPCPROF_MAY_CONTROL,
         service_enable_begin, NULL, NULL},
	{OURS "Snapshot", &rpcprof__v1__snapshot_request__descriptor, RPCPROF_MAY_READ,
         service_snapshot_begin, service_snapshot_next, service_snapshot_end},
	{OURS "InFlight", &rpcprof__v1__in_flight_request__descriptor, RPCPROF_MAY_READ,
         service_inflight_begin, service_snapshot_next, service_snapshot_end},
	{OURS "Profile", &rpcprof__v1__profile_request__descriptor, RPCPROF_MAY_READ,
         service_profile_begin, service_profile_next, service_profile_end},
	{OURS "Drain", &rpcprof__v1__drain_request__descriptor, RPCPROF_MAY_CONTROL,
         service_drain_begin, service_drain_next, service_drain_end},
	{GO "Enable", &grpc__go__profiling__v1alpha__enable_request__descriptor,
         RPCPROF_MAY_CONTROL, service_go_enable_begin, NULL, NULL},
	{GO "GetStreamStats", &grpc__go__profiling__v1alpha__get_stream_stats_request__descriptor,
         RPCPROF_MAY_CONTROL, service_stats_begin, service_stats_next, service_stats_end},
};
uint32_t service_per_second = 100;

#define METHODS (sizeof(methods) / sizeof(methods[0]))

static struct {
	pthread_mutex_t lock;
	struct service_counters counters;
	uint32_t under_way;
	time_t second; /* monotonic */
	uint32_t in_second;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

const char *rpcprof_service_method(size_t i)
{
	return i < METHODS ? methods[i].path : NULL;
}

void service_counters_get(struct service_counters *counters)
{
	pthread_mutex_lock(&state.lock);
	*counters = state.counters;
	pthread_mutex_unlock(&state.lock);
}

/* Calls of the parent's are the parent's to answer. */
static void child(void)
{
	memset(&state, 0, sizeof(state));
	pthread_mutex_init(&state.lock, NULL);
	service_drain_forget();
	service_stats_forget();
	service_switch_forget();
}

static void watch(void)
{
	(void)pthread_atfork(NULL, NULL, child);
}

void service_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch);
}

int service_fail(struct rpcprof_service_call *call, enum service_status status, const char *format,
                 ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(call->message, sizeof(call->message), format, arguments);
	va_end(arguments);
	call->status = status;
	return 0;
}

int service_fail_memory(struct rpcprof_service_call *call)
{
	return service_fail(call, SERVICE_RESOURCE_EXHAUSTED, "no memory for the answer");
}

int service_answer(struct rpcprof_service_call *call, const ProtobufCMessage *message)
{
	free(call->bytes);
	call->length = protobuf_c_message_get_packed_size(message);
	call->bytes = malloc(call->length + 1); /* an empty message too has an address */
	if (call->bytes == NULL)
		return service_fail_memory(call);
	protobuf_c_message_pack(message, call->bytes);
	call->answer = call->bytes;
	return 1;
}

static const struct service_method *find(const struct rpcprof_service_request *request)
{
	for (size_t i = 0; i < METHODS; i++)
		if (strlen(methods[i].path) == request->method_bytes &&
		    memcmp(methods[i].path, request->method, request->method_bytes) == 0)
			return &methods[i];
	return NULL;
}

/* Who the asker is comes first: a stranger learns nothing, not even what there is, and does not
 * use up what those who may ask have. */
static int admit(struct rpcprof_service_call *call, const struct service_method *method,
                 const struct rpcprof_service_request *request)
{
	if (request->permission < RPCPROF_MAY_READ) {
		state.counters.unauthenticated++;
		return service_fail(call, SERVICE_UNAUTHENTICATED,
		                    "no token, or a wrong one: send \"authorization: Bearer "
		                    "TOKEN\"");
	}
	if (method == NULL)
		return service_fail(call, SERVICE_UNIMPLEMENTED, "no such method here");
	if (request->permission < method->permission) {
		state.counters.denied++;
		return service_fail(call, SERVICE_PERMISSION_DENIED,
		                    "this token may only read; %s takes the control token",
		                    method->path);
	}
	return 1;
}

static int limit(struct rpcprof_service_call *call, const struct rpcprof_service_request *request)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec != state.second)
		state.in_second = 0;
	state.second = now.tv_sec;
	if (request->length > REQUEST_MAX)
		service_fail(call, SERVICE_RESOURCE_EXHAUSTED,
		             "a request of %zu bytes; at most %u are taken", request->length,
		             REQUEST_MAX);
	else if (++state.in_second > service_per_second)
		service_fail(call, SERVICE_RESOURCE_EXHAUSTED,
		             "more than %u requests in this second; ask again in the next",
		             service_per_second);
	else if (state.under_way == CALLS_MAX)
		service_fail(call, SERVICE_RESOURCE_EXHAUSTED,
		             "%u requests are being answered; ask again when one is done",
		             CALLS_MAX);
	else
		return 1;
	state.counters.limited++;
	return 0;
}

/* 1 if the call is now one of those under way. */
static int enter(struct rpcprof_service_call *call, const struct service_method *method,
                 const struct rpcprof_service_request *request)
{
	int entered;

	pthread_mutex_lock(&state.lock);
	entered = admit(call, method, request) && limit(call, request);
	if (entered) {
		call->method = method;
		state.under_way++;
		state.counters.begun++;
	}
	pthread_mutex_unlock(&state.lock);
	return entered;
}

static void begin(struct rpcprof_service_call *call, const struct rpcprof_service_request *request)
{
	ProtobufCMessage *message;

	message = protobuf_c_message_unpack(call->method->request, NULL, request->length,
	                                    request->bytes);
	if (message == NULL) {
		service_fail(call, SERVICE_INVALID_ARGUMENT, "the request is no %s",
		             call->method->request->name);
		return;
	}
	call->method->begin(call, message);
	protobuf_c_message_free_unpacked(message, NULL);
}

int rpcprof_service_begin(struct rpcprof_service_call **out,
                          const struct rpcprof_service_request *request)
{
	struct rpcprof_service_call *call;
	struct rpcprof_counters counters;

	if (request->size != sizeof(*request) ||
	    (request->answer_max != 0 && request->answer_max < RPCPROF_ANSWER_MAX_LEAST))
		return -EINVAL;
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return -ENOMEM;
	service_watch_forks();
	call->answer_max = request->answer_max != 0 ? request->answer_max
	                                            : RPCPROF_ANSWER_MAX_DEFAULT;
	if (enter(call, find(request), request)) {
		if (rpcprof_counters_get(&counters) != 0)
			service_fail(call, SERVICE_FAILED_PRECONDITION,
			             "the program has not called rpcprof_init()");
		else
			begin(call, request);
	}
	*out = call;
	return 0;
}

/* Of a method with one message, which its begin made. */
static int give(struct rpcprof_service_call *call)
{
	if (call->given)
		return 0;
	call->given = true;
	return 1;
}

int rpcprof_service_next(struct rpcprof_service_call *call, const void **bytes, size_t *length)
{
	int more = 0;

	if (call->status == SERVICE_OK)
		more = call->method->next != NULL ? call->method->next(call) : give(call);
	if (more != 1)
		return more;
	*bytes = call->answer;
	*length = call->length;
	return 1;
}

uint64_t rpcprof_service_wait_ns(const struct rpcprof_service_call *call)
{
	return call->wait_ns;
}

int32_t rpcprof_service_status(const struct rpcprof_service_call *call, const char **message)
{
	*message = call->message;
	return call->status;
}

void rpcprof_service_end(struct rpcprof_service_call *call, bool delivered)
{
	if (call == NULL)
		return;
	if (call->method != NULL) {
		if (call->method->end != NULL)
			call->method->end(call, delivered);
		pthread_mutex_lock(&state.lock);
		state.under_way--;
		pthread_mutex_unlock(&state.lock);
	}
	free(call->bytes);
	free(call);
}
