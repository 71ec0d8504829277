/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PLOT_H
#define BENCH_PLOT_H

/* Drawings as SVG, good to look at on light and dark pages alike. */
#include "bench.h"

#define BENCH_LINES_MAX 4
#define BENCH_POINTS_MAX 24

/* How figures grow: both axes logarithmic. */
struct bench_curves {
	const char *title;
	const char *x, *y; /* what the axes count */
	const char *names[BENCH_LINES_MAX];
	double xs[BENCH_POINTS_MAX];
	double ys[BENCH_LINES_MAX][BENCH_POINTS_MAX]; /* 0 = not measured */
	unsigned lines, points;
};

/* An exit status, and a message if it is not 0. */
int bench_plot_bars(const char *path, const struct bench_row *rows, size_t count);
int bench_plot_curves(const char *path, const struct bench_curves *curves);

#endif
