/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/live_internal.h"

#define TEXT_MAX 128
#define HEAD_LINES 4

enum option_key { INTERVAL = 1024, WINDOW, ONCE };

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct live *live = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		live->interval_ns = 2000000000u;
		live->window_ns = 10000000000u;
		state->child_inputs[0] = &live->filter;
		state->child_inputs[1] = &live->remote;
		return 0;
	case INTERVAL:
		live->interval_ns = parse_duration(state, "--interval", argument);
		return 0;
	case WINDOW:
		live->window_ns = parse_duration(state, "--window", argument);
		return 0;
	case ONCE:
		live->once = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"interval", INTERVAL, "TIME", 0, "Looks again after so long (2s)", 0},
	{"window", WINDOW, "TIME", 0, "Of calls that ended in so long before each look (10s)", 0},
	{"once", ONCE, NULL, 0, "Looks once", 0},
	{0},
};

static const struct argp_child children[] = {
	{&call_filter_argp, 0, "Which of its calls:", 1}, {&remote_argp, 0, NULL, 2}, {0}};

const struct argp live_argp = {.options = options, .parser = parse, .children = children};

struct view {
	const struct row_order *order;
	size_t limit;            /* methods; 0 = all */
	char wanted[TEXT_MAX];   /* in a method's name */
	bool asking;             /* it is being typed */
	unsigned int lines;      /* of the screen; 0 = no screen */
	unsigned int used;
};

static void end_line(struct view *view)
{
	fputs(view->lines != 0 ? "\033[K\n" : "\n", stdout);
	view->used++;
}

static double seconds_of(const struct rows *rows)
{
	double whole = (double)rows->window_ns / 1e9;
	double there = (double)(rows->at_utc_ns - rows->first_end_utc_ns) / 1e9;

	/* A ring that was filled in less has no more to tell; one call has no rate. */
	return rows->calls[0] > 1 && there > 0 && there < whole ? there : whole;
}

static void print_head(const struct rows *rows, const char *program, struct view *view)
{
	char whole[VALUE_CHARS];

	format_value(whole, rows, (double)rows->whole[0]);
	rpcprof_dump_print_name(stdout, program);
	printf(": %" PRId64 " calls in %.3g s, %s in all; by %s", rows->calls[0], seconds_of(rows),
	       whole, view->order->name);
	end_line(view);
	if (view->asking || view->wanted[0] != '\0') {
		fputs("methods with: ", stdout);
		rpcprof_dump_print_name(stdout, view->wanted);
		fputs(view->asking ? "_" : "", stdout);
	}
	end_line(view);
	printf("%10s  %7s  %12s  %12s  %12s  %12s  method, stages", "calls/s", "share", "p50",
	       "p90", "p99", "max");
	end_line(view);
}

static void print_value(const struct rows *rows, bool known, double value)
{
	char text[VALUE_CHARS] = "-";

	if (known)
		format_value(text, rows, value);
	printf("  %12s", text);
}

static void print_row(const struct rows *rows, const struct row *row, struct view *view)
{
	static const unsigned int percents[] = {50, 90, 99};
	const char *name = row->stage != NULL ? row->stage : row->method;

	printf("%10.1f  %5.1f %%", (double)row->sums[0].calls / seconds_of(rows),
	       percent_of((double)row->sums[0].total, (double)rows->whole[0]));
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		print_value(rows, row->duration_count != 0, (double)row_percentile(row, percents[i]));
	print_value(rows, true, (double)row->sums[0].longest);
	fputs(row->stage != NULL ? "      " : "  ", stdout);
	if (row->stage == NULL) {
		rpcprof_dump_print_name(stdout, row->side);
		fputc(' ', stdout);
	}
	rpcprof_dump_print_name(stdout, name);
	end_line(view);
}

static void print_rows(struct rows *rows, struct view *view)
{
	size_t methods = 0;

	rows_sort_durations(rows);
	rows_sort(rows, view->order->key);
	for (size_t i = 0; i < rows->count; i++) {
		if (strstr(rows->list[i]->method, view->wanted) == NULL)
			continue;
		methods += rows->list[i]->stage == NULL;
		if ((view->limit != 0 && methods > view->limit) ||
		    (view->lines != 0 && view->used + 1 >= view->lines))
			break;
		print_row(rows, rows->list[i], view);
	}
}

/* The header's program, which lives as long as the input is walked. */
struct naming {
	char program[TEXT_MAX];
	bool enabled;
};

static int note_program(void *arg, const struct dump_header *header)
{
	struct naming *naming = arg;

	snprintf(naming->program, sizeof(naming->program), "%s (%" PRId64 ")", header->program,
	         header->pid);
	naming->enabled = header->enabled;
	return EXIT_DONE;
}

static int ignore_call(void *arg, const struct dump_call *call)
{
	(void)arg;
	(void)call;
	return EXIT_DONE;
}

static void draw(struct rows *rows, const struct naming *naming, struct view *view)
{
	unsigned int columns;

	view->used = 0;
	if (view->lines != 0)
		screen_begin(&view->lines, &columns);
	print_head(rows, naming->program, view);
	print_rows(rows, view);
	if (rows->calls[0] == 0) {
		fputs(naming->enabled ? "no call has ended in that time"
		                      : "recording is off: `rpcprof enable' switches it on", stdout);
		end_line(view);
	}
	if (view->lines != 0)
		screen_end();
}

/* The rows of what the process has now. */
static int look(struct live *live, struct rows *rows, struct naming *naming)
{
	struct dump_receiver receiver = {note_program, ignore_call, naming, 0};
	struct input input;
	int status = remote_fetch(&live->remote, &live->filter, &input);

	if (status != EXIT_DONE)
		return status;
	rows->window_ns = live->window_ns;
	status = input_each_call(&input, &receiver);
	if (status == EXIT_DONE)
		status = rows_add_dump(rows, &input, 0);
	progress_end();
	input_close(&input);
	return status;
}

static void next_order(struct view *view)
{
	static const char *const names[] = {"share", "calls", "p50", "p90", "p99", "max", "name"};
	size_t count = sizeof(names) / sizeof(names[0]), i = 0;

	while (i < count && strcmp(names[i], view->order->name) != 0)
		i++;
	view->order = rows_order(names[(i + 1) % count]);
}

static void type(struct view *view, int key)
{
	size_t length = strlen(view->wanted);

	if (key == '\n' || key == '\r')
		view->asking = false;
	else if ((key == '\b' || key == 0x7f) && length > 0)
		view->wanted[length - 1] = '\0';
	else if (key > ' ' && key < 0x7f && length + 1 < sizeof(view->wanted))
		view->wanted[length] = (char)key;
}

/* False for an end. */
static bool press(struct view *view, int key)
{
	if (view->asking) {
		type(view, key);
	} else if (key == '/') {
		memset(view->wanted, 0, sizeof(view->wanted));
		view->asking = true;
	} else if (key == 's') {
		next_order(view);
	}
	return view->asking || key != 'q';
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Takes keys, each of which shows at once, until it is time to look again. False for an end. */
static bool wait(const struct live *live, struct rows *rows, const struct naming *naming,
                 struct view *view)
{
	uint64_t end = now_ns() + live->interval_ns, now;

	while ((now = now_ns()) < end) {
		if (!press(view, screen_key(end - now)))
			return false;
		draw(rows, naming, view);
	}
	return true;
}

static int show(struct live *live, struct view *view, bool *go_on)
{
	struct rows rows = {0};
	struct naming naming = {0};
	int status = look(live, &rows, &naming);

	if (status == EXIT_DONE) {
		draw(&rows, &naming, view);
		status = finish_stdout();
	}
	*go_on = status == EXIT_DONE && !live->once;
	if (*go_on && view->lines != 0)
		*go_on = wait(live, &rows, &naming, view);
	else if (*go_on)
		(void)usleep((useconds_t)(live->interval_ns / 1000));
	rows_close(&rows);
	return status;
}

int live_run(struct live *live, const struct row_order *order, size_t limit)
{
	struct view view = {.order = order, .limit = limit};
	bool go_on = true;
	int status = EXIT_DONE;

	view.lines = !live->once && screen_open() ? HEAD_LINES : 0;
	while (status == EXIT_DONE && go_on)
		status = show(live, &view, &go_on);
	return status;
}
