/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SOURCES_INTERNAL_H
#define RPCPROF_SOURCES_INTERNAL_H

/* What the commands that draw have in common: where calls and stacks come from, which of them, and
 * where the drawing goes. */
#include "cli/remote_internal.h"
#include "cli/tree_internal.h"

struct sources {
	struct call_filter filter;
	struct remote remote;
	const char *output; /* "-" is stdout */
	char **files;
	size_t count; /* 0: a running process */
};

/* Options and [FILE...] as a child; its input is a struct sources, zeroed. */
extern const struct argp sources_argp;

/* What was read. The tree stays empty until sources_load_tree(). */
struct loaded {
	struct rpcprof_pprof *names;
	struct calls calls; /* of dumps */
	struct tree tree;
};

/* Each an exit_code; other than EXIT_DONE after a complaint. */
/* File i, or the calls of the process. */
int sources_open(const struct sources *sources, size_t i, struct input *input);
int loaded_open(struct loaded *loaded);
/* The calls of all files; a profile is refused, for it has none. */
int sources_load_calls(const struct sources *sources, struct loaded *loaded);
/* The calls, and the stacks of calls and profiles. type: of profiles, NULL for the default. */
int sources_load_tree(const struct sources *sources, struct loaded *loaded, const char *type);
/* The stacks of one more file in the column TREE_BASE. */
int sources_load_base(const struct sources *sources, struct loaded *loaded, const char *path,
                      const char *type);
/* Draws to the output. what: as output_open(). */
typedef int drawing(FILE *out, const struct loaded *loaded);
int sources_write(const struct sources *sources, const struct loaded *loaded, const char *what,
                  drawing *draw);
void loaded_close(struct loaded *loaded);

/* The drawings. */
int trace_write(FILE *out, const struct loaded *loaded);
int folded_write(FILE *out, const struct loaded *loaded);
int svg_write(FILE *out, const struct loaded *loaded);

#endif
