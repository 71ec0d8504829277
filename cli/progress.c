/* SPDX-License-Identifier: Apache-2.0 */
/* How far it is, on stderr: "old.pb.gz  [########............]  42 %  0:05, 0:07 left". */
#include "cli/command_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "export/dump_internal.h"

#define FIRST_MS 1000 /* what is done sooner shows nothing */
#define EACH_MS 200
#define BAR_MAX 30
#define BAR_MIN 8
#define TAIL_MAX 64

static bool shown;
static int64_t first_ms; /* since when nothing was said; 0: nothing goes on */
static int64_t begin_ms; /* of what is shown now, one file after the other */
static int64_t last_ms;
static double last_share;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_terminal(void)
{
	const char *kind = getenv("TERM");

	return isatty(STDERR_FILENO) && kind != NULL && strcmp(kind, "dumb") != 0;
}

/* One less: a terminal may begin a new line when its last column is written. */
static size_t get_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col - 1u
	                                                                       : 79;
}

/* Where the first `room` characters of a text end. *used: how many there are. */
static size_t cut(const char *text, size_t room, size_t *used)
{
	size_t end = 0;

	for (*used = 0; text[end] != '\0'; end++) {
		bool begins = ((unsigned char)text[end] & 0xc0) != 0x80;

		if (begins && *used == room)
			break;
		*used += begins;
	}
	return end;
}

/* The name, as much of it as there is room for. Returns what it took. */
static size_t print_name(const char *what, size_t room)
{
	char *text = NULL;
	size_t bytes, used = 0;
	FILE *out = open_memstream(&text, &bytes);

	if (out == NULL)
		return 0;
	rpcprof_dump_print_name(out, what);
	fclose(out);
	fprintf(stderr, "%.*s", (int)cut(text, room, &used), text);
	free(text);
	return used;
}

static void print_bar(double share, size_t width)
{
	size_t filled = (size_t)(share * (double)width);

	fputs("  [", stderr);
	for (size_t i = 0; i < width; i++)
		fputc(i < filled ? '#' : '.', stderr);
	fputc(']', stderr);
}

/* "  42 %  0:05, 0:07 left"; "  0:05" if nobody knows how much there is. Returns its length. */
static size_t write_tail(char tail[TAIL_MAX], double share, int64_t elapsed_ms, size_t columns)
{
	int64_t elapsed = elapsed_ms / 1000, left;
	char more[TAIL_MAX];
	int length = 0;

	if (share >= 0)
		length = snprintf(tail, TAIL_MAX, "  %3.0f %%", 100 * share);
	length += snprintf(tail + length, TAIL_MAX - (size_t)length,
	                   "  %" PRId64 ":%02" PRId64, elapsed / 60, elapsed % 60);
	if (share <= 0 || share >= 1)
		return (size_t)length;
	left = (int64_t)((double)elapsed_ms * (1 - share) / share / 1000 + 0.5);
	snprintf(more, sizeof(more), ", %" PRId64 ":%02" PRId64 " left", left / 60, left % 60);
	if (left < 360000 && (size_t)length + strlen(more) <= columns)
		length += snprintf(tail + length, TAIL_MAX - (size_t)length, "%s", more);
	return (size_t)length;
}

/* The numbers first, then the bar, then the name get what room there is. share < 0: not known. */
static void draw(const char *what, double share, int64_t elapsed_ms)
{
	char tail[TAIL_MAX];
	size_t columns = get_columns(), used = write_tail(tail, share, elapsed_ms, columns), bar = 0;

	fputc('\r', stderr);
	if (share >= 0 && columns >= used + 4 + BAR_MIN) {
		bar = (columns - used - 4) / 2;
		bar = bar < BAR_MIN ? BAR_MIN : bar > BAR_MAX ? BAR_MAX : bar;
		used += 4 + bar;
	}
	if (columns > used)
		print_name(what, columns - used);
	if (bar != 0)
		print_bar(share, bar);
	if (columns >= strlen(tail))
		fputs(tail, stderr);
	fputs("\033[K", stderr);
}

/* share: of what there is, since begin_ms; less than the last time: something new has begun. */
static void show(const char *what, double share)
{
	int64_t now = now_ms();

	if (first_ms == 0)
		first_ms = now;
	if (begin_ms == 0 || (share >= 0 && share < last_share))
		begin_ms = now;
	last_share = share;
	if (now - first_ms < FIRST_MS || now - last_ms < EACH_MS || !is_terminal())
		return;
	last_ms = now;
	shown = true;
	interrupt_clears_line(true);
	draw(what, share, now - begin_ms);
}

void progress(const char *what, size_t done, size_t whole)
{
	if (whole != 0)
		show(what, done < whole ? (double)done / (double)whole : 1);
}

void progress_wait(const char *what, uint64_t whole_ns)
{
	double spent_ns = begin_ms != 0 ? (double)(now_ms() - begin_ms) * 1e6 : 0;

	if (whole_ns == 0)
		show(what, -1);
	else
		show(what, spent_ns < (double)whole_ns ? spent_ns / (double)whole_ns : 1);
}

void progress_end(void)
{
	if (shown) {
		fputs(PROGRESS_CLEAR, stderr);
		interrupt_clears_line(false);
	}
	shown = false;
	last_share = 0;
	first_ms = begin_ms = 0; /* what comes next has a second of its own */
}
