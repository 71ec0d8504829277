/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_ROWS_INTERNAL_H
#define RPCPROF_ROWS_INTERNAL_H

/*
 * What top and diff show: sums per method and stage, from profiles or dumps. diff has two columns
 * of sums in each row, top one.
 */
#include "cli/input_internal.h"
#include "report/tree_internal.h"

#define ROWS_MAX ((size_t)4 << 20)

struct sums {
	int64_t calls;    /* of a method; how often a stage ran; samples' first value of a function */
	int64_t total;    /* with everything below */
	int64_t self;     /* functions only */
	uint64_t longest; /* dumps only */
};

struct row {
	const char *side;   /* "" for functions; texts are equal if their addresses are */
	const char *method; /* or a function */
	const char *stage;  /* NULL: the method itself */
	struct row *parent; /* of a stage: the method's row */
	struct sums sums[2];
	size_t stamp;        /* 1 + the sample that this row was last counted for */
	uint64_t *durations; /* dumps only, of column 0; each single one */
	size_t duration_count, duration_room;
};

enum rows_kind {
	ROWS_CALLS = 1,    /* a profile of calls: sides, methods, stages */
	ROWS_FUNCTIONS = 2, /* any other profile */
	ROWS_DUMP = 3
};

struct rows {
	enum rows_kind kind;
	struct row **list;
	size_t count, room;
	uint64_t window_ns; /* dumps only: what ended so long before it or earlier is left out; 0 = no */
	int64_t at_utc_ns, first_end_utc_ns; /* of a dump: its own time, the first end; 0 = none */
	int64_t whole[2]; /* all time, or whatever is summed */
	int64_t calls[2];
	char *unit;       /* of totals */
	char *count_name; /* of calls; functions only, else NULL; "" = nothing was counted */
	void *tree, *texts;
};

/* Sums up a file in column 0 or 1. EXIT_DONE, or another after a complaint. */
int rows_add_file(struct rows *rows, const char *path, int column);
void rows_close(struct rows *rows);

/* The row of a call's method or stage, made on first use; NULL after running out of memory or
 * ROWS_MAX. */
struct row *rows_get(struct rows *rows, const char *side, const char *method, const char *stage);


/* As rows_add_file(), of an open file. */
int rows_add_profile(struct rows *rows, const struct input *input, int column);
int rows_add_dump(struct rows *rows, const struct input *input, int column);

/* The index of a sample type; types_count if there is none. */
size_t profile_type(const struct rpcprof_pprof *profile, const char *name);
/* Whether it has calls, stages and wall, as rpcprof writes them. */
bool profile_is_of_calls(const struct rpcprof_pprof *profile);
/* What of a profile is summed up: wall, or its default, or the last. */
size_t profile_default_type(const struct rpcprof_pprof *profile);

/* Orders: methods by key, the largest first, each followed by its stages. */
typedef double row_key(const struct row *row, const struct rows *rows);
void rows_sort(struct rows *rows, row_key *key);

struct row_order {
	const char *name;
	row_key *key;
	bool of_dumps; /* it needs single durations */
};

/* NULL if there is none of that name. */
const struct row_order *rows_order(const char *name);
/* The duration that `percent` of all are not longer than (nearest rank), after
 * rows_sort_durations(). */
uint64_t row_percentile(const struct row *row, unsigned int percent);
void rows_sort_durations(struct rows *rows);

/* A duration if the unit is nanoseconds, else a number. */
#define VALUE_CHARS 32
void format_value(char out[VALUE_CHARS], const struct rows *rows, double value);
double per_call(const struct sums *sums);
double percent_of(double part, double whole);

/* "server /pkg.Service/Method", or an indented stage, and the end of the line. */
void print_row_name(const struct row *row);

#endif
