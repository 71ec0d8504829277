/* SPDX-License-Identifier: Apache-2.0 */
/* The report of this process, of what is in its arena now. */
#include "report/page_internal.h"

#include <errno.h>
#include <stdlib.h>

#define NAMES_BYTES ((size_t)64 << 20)

struct taking {
	struct dump_source source;
	struct rpcprof_pprof *names;
	struct calls calls;
	struct tree tree;
	uint32_t left; /* so many more in flight */
	int error;
};

static int take(struct taking *taking, const struct rpcprof_view *view, bool in_flight)
{
	struct dump_call call;

	rpcprof_dump_fill_call(&taking->source, &call, view, in_flight);
	taking->error = report_calls_add(&taking->calls, &call);
	return taking->error;
}

static int take_finished(void *arg, const struct rpcprof_view *view)
{
	return take(arg, view, false);
}

static int take_in_flight(void *arg, const struct rpcprof_view *view)
{
	struct taking *taking = arg;

	if (taking->left == 0) {
		taking->calls.left_out++;
		return 0;
	}
	taking->left--;
	return take(taking, view, true);
}

static int set_header(struct taking *taking, const struct rpcprof_counters *counters)
{
	struct dump_header header;
	int error = rpcprof_clock_map_get(&taking->source.map);

	if (error == 0)
		error = rpcprof_dump_fill_header(&taking->source, &header, counters);
	if (error == 0)
		error = report_calls_begin_file(&taking->calls, "");
	return error == 0 ? report_calls_set_header(&taking->calls, &header) : error;
}

static int take_calls(struct taking *taking, uint32_t last)
{
	const struct rpcprof_filter filter = {.size = sizeof(filter), .last = last};
	struct rpcprof_counters before, after;
	int error = rpcprof_counters_get(&before);
	int64_t count;

	if (error == 0)
		error = set_header(taking, &before);
	if (error != 0)
		return error;
	taking->left = last;
	count = rpcprof_snapshot(&filter, take_finished, taking);
	if (count >= 0 && taking->error == 0)
		count = rpcprof_inflight(NULL, take_in_flight, taking);
	error = count < 0 ? (int)count : taking->error;
	if (error == 0)
		error = rpcprof_counters_get(&after);
	if (error == 0)
		taking->calls.files[0].torn = after.torn - before.torn;
	return error;
}

static int write_page(const struct taking *taking, char **text, size_t *length)
{
	const struct report_page page = {taking->names, &taking->calls, &taking->tree, false, NULL};
	char *written = NULL;
	FILE *out = open_memstream(&written, length);
	int error;

	if (out == NULL)
		return -ENOMEM;
	error = report_page_write(out, &page);
	if (fclose(out) != 0 && error == 0)
		error = -ENOMEM;
	if (error != 0)
		free(written);
	else
		*text = written;
	return error;
}

static int make_page(struct taking *taking, uint32_t last, char **text, size_t *length)
{
	int error = report_calls_open(&taking->calls, taking->names);

	if (error == 0)
		error = report_tree_open(&taking->tree, taking->names);
	if (error == 0)
		error = take_calls(taking, last);
	if (error != 0)
		return error;
	report_calls_finish(&taking->calls, 0);
	error = report_tree_add_calls(&taking->tree, &taking->calls, TREE_THIS);
	return error == 0 ? write_page(taking, text, length) : error;
}

int report_page_of_process(uint32_t last, char **text, size_t *length)
{
	struct taking *taking = calloc(1, sizeof(*taking));
	int error = -ENOMEM;

	if (taking == NULL)
		return error;
	taking->names = rpcprof_pprof_model_open(NAMES_BYTES);
	if (taking->names != NULL)
		error = make_page(taking, last, text, length);
	report_calls_close(&taking->calls);
	report_tree_close(&taking->tree);
	rpcprof_pprof_close(taking->names);
	free(taking);
	return error;
}
