/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <inttypes.h>

#define NAME_COLUMNS 34
#define BAR_COLUMNS 24

#define BOLD "\033[1m"
#define RED "\033[31m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

static void paint(const struct dump_writer *writer, const char *how)
{
	if (writer->colour)
		fputs(how, writer->out);
}

void rpcprof_dump_table_begin(struct dump_writer *writer, const struct dump_header *header)
{
	char date[40], error[DUMP_DURATION_CHARS];

	rpcprof_dump_format_date(date, header->at_utc_ns);
	rpcprof_dump_format_duration(error, header->date_error_ns);
	fputs("RPC timings of ", writer->out);
	rpcprof_dump_print_name(writer->out, header->program);
	fprintf(writer->out, " (process %" PRId64 ") at %s\n", header->pid, date);
	fputs("clock ", writer->out);
	rpcprof_dump_print_name(writer->out, header->clock);
	fprintf(writer->out, ": dates within %s, durations within %.3f ppm", error,
	        header->frequency_error_ppm);
	if (header->steps != 0)
		fprintf(writer->out, "; the wall clock was set %" PRIu64 " times", header->steps);
	fprintf(writer->out,
	        "\n%" PRIu64 " calls recorded; no longer here: %" PRIu64
	        " displaced by newer ones, "
	        "%" PRIu64 " drained; never here: %" PRIu64 " discarded, %" PRIu64
	        " for want of room\n\n",
	        header->recorded, header->displaced, header->drained, header->discarded,
	        header->dropped);
}

static void print_status(struct dump_writer *writer, const struct dump_call *call)
{
	const char *name = rpcprof_dump_status_name(call->status);
	char number[16];

	if (call->in_flight) {
		fprintf(writer->out, "%-18s", "(in flight)");
		return;
	}
	if (!call->has_status) {
		fprintf(writer->out, "%-18s", "-");
		return;
	}
	snprintf(number, sizeof(number), "%" PRId32, call->status);
	if (call->status != 0)
		paint(writer, RED);
	fprintf(writer->out, "%-18s", name != NULL ? name : number);
	if (call->status != 0)
		paint(writer, PLAIN);
}

static void print_bytes(FILE *out, const char *what, const uint8_t *bytes, size_t count)
{
	fprintf(out, "  %s ", what);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%02x", bytes[i]);
}

static void print_attributes(struct dump_writer *writer, const struct dump_call *call)
{
	if (call->has_connection)
		fprintf(writer->out, "  conn %" PRIu64 " stream %" PRIu32, call->connection,
		        call->stream);
	else if (call->metadata_bytes != 0)
		print_bytes(writer->out, "metadata", call->metadata, call->metadata_bytes);
	if (call->has_trace)
		print_bytes(writer->out, "trace", call->trace_id, sizeof(call->trace_id));
	for (uint32_t i = 0; i < call->label_count; i++) {
		fputs("  ", writer->out);
		rpcprof_dump_print_name(writer->out, call->labels[i].key);
		fputc('=', writer->out);
		rpcprof_dump_print_name(writer->out, call->labels[i].value);
	}
	if (call->in_flight && call->open_stage != NULL) {
		fputs("  in ", writer->out);
		rpcprof_dump_print_name(writer->out, call->open_stage);
	}
}

static void print_call(struct dump_writer *writer, const struct dump_call *call)
{
	char date[40], duration[DUMP_DURATION_CHARS];

	rpcprof_dump_format_date(date, call->begin_utc_ns);
	rpcprof_dump_format_duration(duration, call->duration_ns);
	fprintf(writer->out, "%s  ", date);
	fprintf(writer->out, "%*s", 6 - rpcprof_dump_print_name(writer->out, call->side), "");
	fprintf(writer->out, "  %12s  ", duration);
	print_status(writer, call);
	paint(writer, BOLD);
	rpcprof_dump_print_name(writer->out, call->method != NULL ? call->method : "(no method)");
	paint(writer, PLAIN);
	print_attributes(writer, call);
	fputc('\n', writer->out);
}

/* The column of the bar that a moment of the call falls in. */
static int column(double ns, uint64_t whole_ns)
{
	double at = whole_ns == 0 ? 0 : ns * BAR_COLUMNS / (double)whole_ns;

	return at < 0 ? 0 : at > BAR_COLUMNS ? BAR_COLUMNS : (int)at;
}

/* When within the call the stage ran. */
static void print_bar(struct dump_writer *writer, const struct dump_call *call,
                      const struct dump_stage *stage)
{
	double begin_ns = (double)stage->offset_ns;
	int begin = column(begin_ns, call->duration_ns);
	int end = column(begin_ns + (double)stage->duration_ns, call->duration_ns);

	if (begin == BAR_COLUMNS)
		begin--;
	if (end <= begin)
		end = begin + 1;
	fputs("  |", writer->out);
	paint(writer, CYAN);
	for (int i = 0; i < BAR_COLUMNS; i++)
		fputc(i < begin || i >= end         ? ' '
		      : stage->open && i == end - 1 ? '>'
		                                    : '#',
		      writer->out);
	paint(writer, PLAIN);
	fputc('|', writer->out);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* Indents, prints the name and fills up its column. */
static void print_stage_name(FILE *out, uint32_t depth, const char *name)
{
	int columns = 4 + 2 * (int)(depth < 12 ? depth : 12);

	fprintf(out, "%*s", columns, "");
	columns += rpcprof_dump_print_name(out, name);
	fprintf(out, "%*s", columns < NAME_COLUMNS ? NAME_COLUMNS - columns : 0, "");
}

static bool has_many_threads(const struct dump_call *call)
{
	for (uint32_t i = 1; i < call->stage_count; i++)
		if (call->stages[i].thread != call->stages[0].thread)
			return true;
	return false;
}

static void print_stage(struct dump_writer *writer, const struct dump_call *call,
                        const struct dump_stage *stage, bool with_thread)
{
	char duration[DUMP_DURATION_CHARS];

	rpcprof_dump_format_duration(duration, stage->duration_ns);
	print_stage_name(writer->out, stage->depth, stage->tag);
	fprintf(writer->out, "%12s  %5.1f %%", duration,
	        percent(stage->duration_ns, call->duration_ns));
	print_bar(writer, call, stage);
	if (with_thread)
		fprintf(writer->out, "  thread %" PRIu32, stage->thread);
	fputs(stage->open ? "  open\n" : "\n", writer->out);
}

static void print_fold(struct dump_writer *writer, const struct dump_call *call,
                       const struct dump_fold *fold)
{
	char total[DUMP_DURATION_CHARS], longest[DUMP_DURATION_CHARS];

	rpcprof_dump_format_duration(total, fold->total_ns);
	rpcprof_dump_format_duration(longest, fold->longest_ns);
	print_stage_name(writer->out, 0, fold->tag);
	fprintf(writer->out, "%12s  %5.1f %%  %" PRIu64 " more, folded; the longest %s\n", total,
	        percent(fold->total_ns, call->duration_ns), fold->count, longest);
}

void rpcprof_dump_table_call(struct dump_writer *writer, const struct dump_call *call)
{
	bool with_thread = has_many_threads(call);

	print_call(writer, call);
	for (uint32_t i = 0; i < call->stage_count; i++)
		print_stage(writer, call, &call->stages[i], with_thread);
	for (uint32_t i = 0; i < call->fold_count; i++)
		print_fold(writer, call, &call->folds[i]);
}

void rpcprof_dump_table_end(struct dump_writer *writer, const struct dump_end *end)
{
	char error[DUMP_DURATION_CHARS];

	if (end->calls == 0) {
		fputs(writer->enabled
		              ? "No calls to show: none that match have been recorded yet.\n"
		              : "No calls to show: recording is switched off "
		                "(rpcprof_enable(true) switches it on).\n",
		      writer->out);
	} else {
		rpcprof_dump_format_duration(error, end->date_error_ns);
		fprintf(writer->out, "\n%" PRIu64 " call%s, dates within %s\n", end->calls,
		        end->calls == 1 ? "" : "s", error);
	}
	if (end->torn != 0)
		fprintf(writer->out, "%" PRIu64 " left out: overwritten while being looked at\n",
		        end->torn);
}
