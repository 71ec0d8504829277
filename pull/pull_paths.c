/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked. A new path is a line in the table. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pull/pull_internal.h"
#include "report/page_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/dump.h"
#include "rpcprof/metrics.h"
#include "rpcprof/version.h"
#include "rpcprof/waits.h"

#define PROFILE_SECONDS 30 /* as in Go */
#define RPCZ_CALLS 100
#define RPCZ_CALLS_MAX 1000 /* some megabytes, if each fills its cell */

static void ask_profile(struct pull_request *request)
{
	(void)pull_window_ask(request, PROFILE_SECONDS);
}

static int all_so_far(struct rpcprof_profile *profile)
{
	struct rpcprof_period *period;
	int error = rpcprof_period_open(&period, RPCPROF_PERIOD_FROM_START);

	if (error != 0)
		return error;
	error = rpcprof_period_take(period, profile);
	if (error == -ENODATA)
		error = rpcprof_period_make(period, profile);
	rpcprof_period_close(period);
	return error;
}

static void ask_rpc(struct pull_request *request)
{
	struct rpcprof_profile profile;

	if (pull_window_ask(request, 0))
		return;
	if (pull_argument(request, "on") != NULL)
		pull_say(&request->answer, MHD_HTTP_BAD_REQUEST, "on=1 goes with seconds=N\n");
	else
		pull_give(&request->answer, all_so_far(&profile), &profile);
}

static void ask_in_flight(struct pull_request *request)
{
	struct rpcprof_profile profile;

	pull_give(&request->answer, pull_inflight_profile(&profile), &profile);
}

static void ask_not_recorded(struct pull_request *request, const struct rpcprof_pprof_type *types,
                             size_t count)
{
	struct rpcprof_profile profile;

	if (request->pull->config.empty_profiles)
		pull_give(&request->answer, pull_empty_profile(types, count, &profile), &profile);
	else
		pull_say(&request->answer, MHD_HTTP_NOT_FOUND,
		         "rpcprof records calls, not this: switch it off in the scraper, or set "
		         ".empty_profiles of rpcprof_pull_start()\n");
}

static void ask_heap(struct pull_request *request)
{
	static const struct rpcprof_pprof_type types[] = {{"alloc_objects", "count"},
	                                                  {"alloc_space", "bytes"},
	                                                  {"inuse_objects", "count"},
	                                                  {"inuse_space", "bytes"}};

	ask_not_recorded(request, types, sizeof(types) / sizeof(types[0]));
}

/* Cumulative, or with seconds=N of that time; off as what is not recorded. */
static void ask_waits(struct pull_request *request, enum rpcprof_waits kind,
                      int (*encode)(uint8_t **, size_t *))
{
	static const struct rpcprof_pprof_type types[] = {{"contentions", "count"},
	                                                  {"delay", "nanoseconds"}};
	struct rpcprof_wait_rates rates = rpcprof_wait_rates();
	struct rpcprof_profile profile;
	int error;

	if ((kind == RPCPROF_BLOCK ? rates.block_ns : rates.mutex_fraction) == 0) {
		ask_not_recorded(request, types, sizeof(types) / sizeof(types[0]));
	} else if (!pull_window_ask_waits(request, kind)) {
		error = encode(&profile.bytes, &profile.length);
		pull_give(&request->answer, error, &profile);
	}
}

static void ask_block(struct pull_request *request)
{
	ask_waits(request, RPCPROF_BLOCK, rpcprof_block_encode);
}

static void ask_mutex(struct pull_request *request)
{
	ask_waits(request, RPCPROF_MUTEX, rpcprof_mutex_encode);
}

static int dump(struct pull_request *request, const struct rpcprof_dump_options *options)
{
	bool table = options->format == RPCPROF_DUMP_TABLE;
	char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	int64_t error;

	if (memory == NULL)
		return -ENOMEM;
	error = rpcprof_dump(memory, options);
	if (fclose(memory) != 0 && error >= 0)
		error = -ENOMEM;
	if (error < 0) {
		free(text);
		return (int)error;
	}
	pull_give_bytes(&request->answer, table ? "text/plain; charset=utf-8" : "application/json",
	                text, length);
	return 0;
}

enum form { FORM_JSON, FORM_TABLE, FORM_PAGE, FORM_NONE };

/* Browsers alone say that they take HTML. */
static enum form form_of(const struct pull_request *request)
{
	static const char *const names[FORM_NONE] = {"json", "table", "html"};
	const char *said = pull_argument(request, "format");
	const char *taken = pull_header(request, "Accept");
	enum form form = FORM_JSON;

	if (said == NULL)
		return taken != NULL && strstr(taken, "text/html") != NULL ? FORM_PAGE : FORM_JSON;
	while (form < FORM_NONE && strcmp(said, names[form]) != 0)
		form++;
	return form;
}

static void give_page(struct pull_request *request, uint32_t last)
{
	char *text;
	size_t length;
	int error = report_page_of_process(last, &text, &length);

	if (error == 0)
		pull_give_page(&request->answer, text, length, true);
	else
		pull_give(&request->answer, error, NULL);
}

static void ask_calls(struct pull_request *request)
{
	struct rpcprof_dump_options options = {.size = sizeof(options),
	                                       .format = RPCPROF_DUMP_JSON,
	                                       .colour = RPCPROF_DUMP_COLOUR_NEVER,
	                                       .calls = RPCPROF_DUMP_FINISHED |
	                                                RPCPROF_DUMP_IN_FLIGHT,
	                                       .filter.size = sizeof(options.filter)};
	enum form form = form_of(request);
	int error;

	if (form == FORM_NONE) {
		pull_say(&request->answer, MHD_HTTP_BAD_REQUEST,
		         "format: it takes json, table or html\n");
		return;
	}
	if (!pull_argument_count(request, "last", RPCZ_CALLS_MAX, RPCZ_CALLS, &options.filter.last))
		return;
	if (form == FORM_PAGE) {
		give_page(request, options.filter.last);
		return;
	}
	if (form == FORM_TABLE)
		options.format = RPCPROF_DUMP_TABLE;
	error = dump(request, &options);
	if (error != 0)
		pull_give(&request->answer, error, NULL);
}

static void ask_metrics(struct pull_request *request)
{
	char *text;
	size_t length;
	int error = rpcprof_metrics_text(NULL, &text, &length);

	if (error == 0)
		pull_give_bytes(&request->answer, RPCPROF_METRICS_CONTENT_TYPE, text, length);
	else
		pull_give(&request->answer, error, NULL);
}

static void ask_health(struct pull_request *request)
{
	pull_say(&request->answer, MHD_HTTP_OK, "ok\n");
}

static void ask_index(struct pull_request *request);

static const struct pull_path paths[] = {
	{"/debug/pprof/", NULL, false, ask_index},
	{"/debug/pprof/profile", "calls of the next ?seconds=N, 30 if not said", false, ask_profile},
	{"/debug/pprof/rpc", "calls since the start, or of the next ?seconds=N", false, ask_rpc},
	{"/debug/pprof/delta_rpc", "calls since ?consumer=NAME asked last", false, pull_consumer_ask},
	{"/debug/pprof/goroutine", "calls in flight", false, ask_in_flight},
	{"/debug/pprof/block", "where calls wait, if rpcprof_set_block_rate() is on", false, ask_block},
	{"/debug/pprof/mutex", "waits for locks, if rpcprof_set_mutex_fraction() is on", false,
	 ask_mutex},
	{"/debug/pprof/heap", NULL, false, ask_heap},
	{"/debug/pprof/allocs", NULL, false, ask_heap},
	{"/debug/rpcz", "the last ?last=N calls: a page, or ?format=json, ?format=table", false,
	 ask_calls},
	{"/metrics", "counters and latencies, for Prometheus", false, ask_metrics},
	{"/healthz", NULL, true, ask_health},
	{0},
};

static void put_paths(FILE *out)
{
	for (const struct pull_path *path = paths; path->path != NULL; path++)
		if (path->help != NULL)
			fprintf(out, "<tr><td><a href=\"%s\">%s</a><td>%s\n", path->path, path->path,
			        path->help);
}

static void ask_index(struct pull_request *request)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL) {
		pull_give(&request->answer, -ENOMEM, NULL);
		return;
	}
	fprintf(out, "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">"
	             "<title>rpcprof</title><h1>rpcprof %s</h1>\n<p>Recording is %s.\n<table>\n",
	        rpcprof_version(), rpcprof_enabled() ? "on" : "off");
	put_paths(out);
	fprintf(out, "</table>\n<p>&amp;on=1 beside seconds=N records for that time, if recording is "
	             "off.\n");
	if (fclose(out) != 0) {
		free(text);
		text = NULL;
	}
	pull_give_page(&request->answer, text, length, false);
}

const struct pull_path *pull_path_find(const char *path)
{
	for (const struct pull_path *each = paths; each->path != NULL; each++)
		if (strcmp(each->path, path) == 0)
			return each;
	return NULL;
}
