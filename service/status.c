/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "rpcprof/version.h"
#include "service/service_internal.h"

static int count(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

static void fill_requests(Rpcprof__V1__Requests *requests)
{
	struct service_counters counters;

	service_counters_get(&counters);
	requests->begun = counters.begun;
	requests->unauthenticated = counters.unauthenticated;
	requests->denied = counters.denied;
	requests->limited = counters.limited;
}

/* The header that a dump of now would have; the caller's, to be freed with its Dump. */
static Rpcprof__V1__Dump *make_header(void)
{
	struct rpcprof_counters counters;
	struct dump_source source;
	struct dump_header header;
	uint8_t bytes[4096];
	size_t length;

	if (rpcprof_clock_map_get(&source.map) != 0 || rpcprof_counters_get(&counters) != 0 ||
	    rpcprof_dump_fill_header(&source, &header, &counters) != 0)
		return NULL;
	length = rpcprof_dump_pack(&(struct dump_part){.header = &header}, bytes, sizeof(bytes));
	if (length == 0 || length > sizeof(bytes))
		return NULL;
	return rpcprof__v1__dump__unpack(NULL, length, bytes);
}

int service_status_begin(struct rpcprof_service_call *call, const void *request)
{
	Rpcprof__V1__StatusResponse response = RPCPROF__V1__STATUS_RESPONSE__INIT;
	Rpcprof__V1__Requests requests = RPCPROF__V1__REQUESTS__INIT;
	struct rpcprof_config config = {.size = sizeof(config)};
	Rpcprof__V1__Dump *dump = make_header();
	int answered;

	(void)request;
	if (dump == NULL || rpcprof_get_config(&config) != 0)
		return service_fail_memory(call);
	response.version = (char *)(uintptr_t)rpcprof_version();
	response.header = dump->header;
	response.off_in_ns = service_switch_off_in_ns();
	response.capacity = config.capacity;
	response.in_flight = (uint64_t)rpcprof_inflight(NULL, count, NULL);
	response.unacknowledged = service_drain_held();
	fill_requests(&requests);
	response.requests = &requests;
	answered = service_answer(call, &response.base);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
	return answered;
}
