/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct dump {
	struct dump_writer writer;
	struct dump_source source;
	int status;
};

static int write_view(struct dump *dump, const struct rpcprof_view *view, bool in_flight)
{
	struct dump_call call;

	rpcprof_dump_fill_call(&dump->source, &call, view, in_flight);
	dump->status = rpcprof_dump_write_call(&dump->writer, &call);
	return dump->status;
}

static int write_finished(void *arg, const struct rpcprof_view *view)
{
	return write_view(arg, view, false);
}

static int write_in_flight(void *arg, const struct rpcprof_view *view)
{
	return write_view(arg, view, true);
}

static int write_header(struct dump *dump, const struct rpcprof_counters *counters)
{
	struct dump_header header;
	int status = rpcprof_dump_fill_header(&dump->source, &header, counters);

	return status != 0 ? status : rpcprof_dump_write_begin(&dump->writer, &header);
}

static bool wants_colour(FILE *out, uint32_t colour)
{
	const char *no_colour = getenv("NO_COLOR");

	if (colour != RPCPROF_DUMP_COLOUR_AUTO)
		return colour == RPCPROF_DUMP_COLOUR_ALWAYS;
	return isatty(fileno(out)) == 1 && (no_colour == NULL || no_colour[0] == '\0');
}

static int read_options(struct rpcprof_dump_options *options,
                        const struct rpcprof_dump_options *given)
{
	if (given == NULL) {
		options->calls = RPCPROF_DUMP_FINISHED;
		return 0;
	}
	if (given->size != sizeof(*options))
		return -EINVAL;
	*options = *given;
	if (options->calls == 0)
		options->calls = RPCPROF_DUMP_FINISHED;
	if (options->format > RPCPROF_DUMP_PROTO ||
	    options->colour > RPCPROF_DUMP_COLOUR_ALWAYS ||
	    options->calls > (RPCPROF_DUMP_FINISHED | RPCPROF_DUMP_IN_FLIGHT) ||
	    (options->filter.size != 0 && options->filter.size != sizeof(options->filter)))
		return -EINVAL;
	return 0;
}

static int write_calls(struct dump *dump, const struct rpcprof_dump_options *options)
{
	const struct rpcprof_filter *filter = options->filter.size != 0 ? &options->filter : NULL;
	int64_t count = 0;

	if (options->calls & RPCPROF_DUMP_FINISHED)
		count = rpcprof_snapshot(filter, write_finished, dump);
	if (count >= 0 && dump->status == 0 && (options->calls & RPCPROF_DUMP_IN_FLIGHT))
		count = rpcprof_inflight(filter, write_in_flight, dump);
	return count < 0 ? (int)count : dump->status;
}

int64_t rpcprof_dump(FILE *out, const struct rpcprof_dump_options *given)
{
	struct rpcprof_dump_options options = {0};
	struct rpcprof_counters before, after;
	struct dump dump = {.writer.out = out};
	int status = read_options(&options, given);

	if (status == 0)
		status = rpcprof_clock_map_get(&dump.source.map);
	if (status == 0)
		status = rpcprof_counters_get(&before);
	if (status != 0)
		return status;
	dump.writer.format = options.format;
	dump.writer.colour = wants_colour(out, options.colour);
	status = write_header(&dump, &before);
	if (status == 0)
		status = write_calls(&dump, &options);
	if (status == 0)
		status = rpcprof_counters_get(&after);
	if (status == 0)
		status = rpcprof_dump_write_end(&dump.writer, after.torn - before.torn);
	free(dump.writer.bytes); /* of a dump that did not reach its end */
	return status != 0 ? status : (int64_t)dump.writer.calls;
}
