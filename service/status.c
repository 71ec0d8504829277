/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "atomic_internal.h"
#include "export/dump_internal.h"
#include "export/pprof_model_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/export.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "rpcprof/version.h"
#include "service/service_internal.h"

static service_pushes_fn *pushes;

/* One of the pushes, with its strings. */
struct told_push {
	Rpcprof__V1__Push message;
	char url[3 * 256 + 1], error[3 * 256 + 1]; /* repair() may treble them */
};

struct told_pushes {
	Rpcprof__V1__Push **messages;
	size_t count;
	bool no_memory;
};

void service_pushes_set(service_pushes_fn *walk)
{
	/* release, pairs with the acquire in tell_pushes(): what the walk reads was made before. */
	rpcprof_store_release(&pushes, walk);
}

/* Servers say what they like; strings of a message have to be UTF-8. */
static char *repair(char *out, const char *text)
{
	size_t length = strnlen(text, 256);

	out[rpcprof_pprof_utf8_repair(out, text, length)] = '\0';
	return out;
}

static void fill_push(struct told_push *told, const char *url,
                      const struct rpcprof_push_stats *stats)
{
	rpcprof__v1__push__init(&told->message);
	told->message.url = repair(told->url, url);
	told->message.last_error = repair(told->error, stats->last_error);
#define X(field) told->message.field = stats->field;
	X(taken) X(split) X(sent) X(sent_bytes) X(retried) X(queued) X(queued_bytes)
	X(dropped_full) X(dropped_refused) X(dropped_uncertain) X(dropped_old) X(dropped_invalid)
	X(dropped_closed) X(spooled) X(unspooled) X(spool_errors) X(last_status)
#undef X
	told->message.last_success_utc_ns = stats->last_success_ns;
	told->message.last_failure_utc_ns = stats->last_failure_ns;
}

static void add_push(void *arg, const char *url, const struct rpcprof_push_stats *stats)
{
	struct told_pushes *all = arg;
	Rpcprof__V1__Push **longer =
		realloc(all->messages, (all->count + 1) * sizeof(*all->messages));
	struct told_push *told = calloc(1, sizeof(*told));

	if (longer != NULL)
		all->messages = longer;
	if (longer == NULL || told == NULL) {
		free(told);
		all->no_memory = true;
		return;
	}
	fill_push(told, url, stats);
	all->messages[all->count++] = &told->message;
}

static void tell_pushes(struct told_pushes *all)
{
	service_pushes_fn *walk = rpcprof_load_acquire(&pushes);

	if (walk != NULL)
		walk(add_push, all);
}

static void free_pushes(struct told_pushes *all)
{
	while (all->count > 0)
		free(all->messages[--all->count]); /* the first member of what was allocated */
	free(all->messages);
}

/* last_error: for the message to point at. */
static void fill_exporter(Rpcprof__V1__Exporter *exporter, char last_error[3 * 256 + 1])
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	if (rpcprof_exporter_get_stats(&stats) != 0)
		return;
#define X(field) exporter->field = stats.field;
	X(running) X(windows) X(files) X(file_bytes) X(write_errors) X(calls) X(unaggregated)
	X(overflow)
#undef X
	exporter->last_error = repair(last_error, stats.last_error);
}

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
	Rpcprof__V1__Exporter exporter = RPCPROF__V1__EXPORTER__INIT;
	struct told_pushes told = {NULL, 0, false};
	char last_error[3 * 256 + 1];
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
	fill_exporter(&exporter, last_error);
	response.exporter = &exporter;
	tell_pushes(&told);
	response.pushes = told.messages;
	response.n_pushes = told.count;
	answered = told.no_memory ? service_fail_memory(call) : service_answer(call, &response.base);
	free_pushes(&told);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
	return answered;
}
