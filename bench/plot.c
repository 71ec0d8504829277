/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 820
#define TOP 60

/* An axis of powers of ten over `length` pixels from `from`; a negative length grows upwards. */
struct axis {
	double from, length;
	int low, high; /* log10 */
};

static double at(const struct axis *axis, double value)
{
	return axis->from + axis->length * (log10(value) - axis->low) / (axis->high - axis->low);
}

static struct axis axis_over(double from, double length, double least, double most)
{
	struct axis axis = {from, length, (int)floor(log10(least)),
	                    (int)ceil(log10(most))};

	if (axis.high - axis.low < 1)
		axis.high = axis.low + 1;
	return axis;
}

/* What the file starts with. The page behind it may be light or dark. */
static void open_drawing(FILE *file, double height, const char *title)
{
	fprintf(file,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
	        "viewBox=\"0 0 %d %.0f\" role=\"img\">\n<title>%s</title>\n<style>\n"
	        "text { font: 13px system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", sans-serif;"
	        " fill: #24292f }\n"
	        ".title { font-size: 15px; font-weight: 600 }\n.small { font-size: 12px; fill: "
	        "#5b636d }\n.grid { stroke: #d5d9de; stroke-width: 1 }\n"
	        ".page { fill: #ffffff }\n"
	        ".c0 { fill: #2f6fc9; stroke: #2f6fc9 } .c1 { fill: #c8681a; stroke: #c8681a }\n"
	        ".c2 { fill: #7a828c; stroke: #7a828c } .c3 { fill: #2a8a57; stroke: #2a8a57 }\n"
	        "polyline { fill: none !important; stroke-width: 2 }\n"
	        "@media (prefers-color-scheme: dark) {\n"
	        "text { fill: #d7dae0 } .small { fill: #9aa3ad } .grid { stroke: #363b42 }\n"
	        ".page { fill: #16181d }\n"
	        ".c0 { fill: #6ea8fe; stroke: #6ea8fe } .c1 { fill: #e8a15c; stroke: #e8a15c }\n"
	        ".c2 { fill: #8f98a3; stroke: #8f98a3 } .c3 { fill: #6fce9c; stroke: #6fce9c }\n}\n"
	        "</style>\n<rect class=\"page\" width=\"100%%\" height=\"100%%\" rx=\"6\"/>\n"
	        "<text class=\"title\" x=\"20\" y=\"28\">%s</text>\n",
	        WIDTH, height, WIDTH, height, title, title);
}

static int close_drawing(FILE *file, const char *path)
{
	fprintf(file, "</svg>\n");
	if (fclose(file) == 0)
		return 0;
	perror(path);
	return 1;
}

static FILE *create(const char *path)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		perror(path);
	return file;
}

static void text(FILE *file, double x, double y, const char *anchor, const char *what)
{
	fprintf(file, "<text class=\"small\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n",
	        x, y, anchor, what);
}

static void line(FILE *file, double x1, double y1, double x2, double y2)
{
	fprintf(file, "<line class=\"grid\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x1,
	        y1, x2, y2);
}

/* 0.1, 1, 10, 10 k, 1 M */
static const char *power(char label[16], int exponent)
{
	static const char *const units[] = {"", " k", " M", " G"};
	int unit = exponent >= 3 ? exponent / 3 : 0;

	(void)snprintf(label, 16, "%g%s", pow(10, exponent - 3 * unit), units[unit % 4]);
	return label;
}

/* Of the bars: 0 ours, 1 others, 2 the machine. */
static unsigned colour(const char *name)
{
	if (strncmp(name, "floor", 5) == 0)
		return 2;
	return strncmp(name, "peer", 4) == 0;
}

static void bar(FILE *file, const struct axis *axis, const struct bench_row *row, double y)
{
	double end = at(axis, row->ns[0]);

	fprintf(file, "<text x=\"232\" y=\"%.1f\" text-anchor=\"end\">%s", y + 13, row->test->name);
	if (row->threads > 1)
		fprintf(file, " \u00d7 %u", row->threads);
	fprintf(file, "</text>\n<rect class=\"c%u\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
	        "height=\"13\"/>\n<text class=\"small\" x=\"%.1f\" y=\"%.1f\">%.*f</text>\n",
	        colour(row->test->name), axis->from, y + 2, fmax(end - axis->from, 1), end + 6,
	        y + 13, row->ns[0] < 10 ? 2 : row->ns[0] < 100 ? 1 : 0, row->ns[0]);
}

static void key(FILE *file, unsigned colour_of, double x, double y, const char *what)
{
	fprintf(file, "<rect class=\"c%u\" x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\"/>\n",
	        colour_of, x, y - 10);
	text(file, x + 18, y, "start", what);
}

int bench_plot_bars(const char *path, const struct bench_row *rows, size_t count)
{
	double least = rows[0].ns[0], most = least, bottom = TOP + 19.0 * (double)count;
	FILE *file = create(path);
	struct axis axis;
	char label[16];

	if (file == NULL)
		return 1;
	for (size_t i = 1; i < count; i++) {
		least = fmin(least, rows[i].ns[0]);
		most = fmax(most, rows[i].ns[0]);
	}
	axis = axis_over(240, WIDTH - 300, least, most);
	open_drawing(file, bottom + 40, "Nanoseconds of CPU per operation");
	key(file, 0, 440, 26, "rpcprof");
	key(file, 1, 530, 26, "others");
	key(file, 2, 610, 26, "the machine's floor");
	for (int exponent = axis.low; exponent <= axis.high; exponent++) {
		double x = at(&axis, pow(10, exponent));

		line(file, x, TOP - 8, x, bottom + 4);
		text(file, x, bottom + 22, "middle", power(label, exponent));
	}
	for (size_t i = 0; i < count; i++)
		bar(file, &axis, &rows[i], TOP + 19.0 * (double)i);
	return close_drawing(file, path);
}

/* The name of a line stands at its end, but clear of the names before it. */
static void name_line(FILE *file, const char *name, double x, double y, double *taken, unsigned of)
{
	for (unsigned i = 0; i < of; i++)
		if (fabs(y - taken[i]) < 14)
			y = taken[i] + (y < taken[i] ? -14 : 14);
	taken[of] = y;
	text(file, x + 8, y + 4, "start", name);
}

static void curve(FILE *file, const struct bench_curves *curves, unsigned of, const struct axis *x,
                  const struct axis *y, double *taken)
{
	double last_x = 0, last_y = 0;

	fprintf(file, "<polyline class=\"c%u\" points=\"", of);
	for (unsigned i = 0; i < curves->points; i++)
		if (curves->ys[of][i] > 0) {
			last_x = at(x, curves->xs[i]);
			last_y = at(y, curves->ys[of][i]);
			fprintf(file, "%.1f,%.1f ", last_x, last_y);
		}
	fprintf(file, "\"/>\n");
	for (unsigned i = 0; i < curves->points; i++)
		if (curves->ys[of][i] > 0)
			fprintf(file, "<circle class=\"c%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", of,
			        at(x, curves->xs[i]), at(y, curves->ys[of][i]));
	name_line(file, curves->names[of], last_x, last_y, taken, of);
}

static void axes(FILE *file, const struct axis *x, const struct axis *y,
                 const struct bench_curves *curves)
{
	char label[16];

	for (int exponent = x->low; exponent <= x->high; exponent++) {
		double right = at(x, pow(10, exponent));

		line(file, right, y->from, right, y->from + y->length);
		text(file, right, y->from + 20, "middle", power(label, exponent));
	}
	for (int exponent = y->low; exponent <= y->high; exponent++) {
		double up = at(y, pow(10, exponent));

		line(file, x->from, up, x->from + x->length, up);
		text(file, x->from - 8, up + 4, "end", power(label, exponent));
	}
	text(file, x->from + x->length / 2, y->from + 40, "middle", curves->x);
	text(file, 20, TOP - 10, "start", curves->y);
}

int bench_plot_curves(const char *path, const struct bench_curves *curves)
{
	double least = INFINITY, most = 0, taken[BENCH_LINES_MAX];
	FILE *file = create(path);
	struct axis x, y;

	if (file == NULL)
		return 1;
	for (unsigned i = 0; i < curves->lines * curves->points; i++) {
		double value = curves->ys[i / curves->points][i % curves->points];

		least = value > 0 ? fmin(least, value) : least;
		most = fmax(most, value);
	}
	x = axis_over(64, WIDTH - 220, curves->xs[0], curves->xs[curves->points - 1]);
	y = axis_over(TOP + 300, -290, least, most);
	open_drawing(file, TOP + 360, curves->title);
	axes(file, &x, &y, curves);
	for (unsigned i = 0; i < curves->lines; i++)
		curve(file, curves, i, &x, &y, taken);
	return close_drawing(file, path);
}
