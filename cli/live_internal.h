/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_LIVE_INTERNAL_H
#define RPCPROF_LIVE_INTERNAL_H

/* top of a running process: its last calls again and again. */
#include "cli/filter_internal.h"
#include "cli/remote_internal.h"
#include "cli/rows_internal.h"

struct live {
	struct remote remote;
	struct call_filter filter;
	uint64_t interval_ns, window_ns;
	bool once;
};

/* Its input is a struct live, zeroed. */
extern const struct argp live_argp;

/* Until q or an end of the process; once if asked for. An exit_code. */
int live_run(struct live *live, const struct row_order *order, size_t limit);

/* screen.c: the terminal as one that is drawn upon and gives keys at once, if stdout and stdin are
 * one. Given back at exit and by signals. */
bool screen_open(void);
/* Waits. Returns a key, or 0: none came, or the window's size changed. */
int screen_key(uint64_t wait_ns);
/* From the top left corner; what is drawn next goes there. Lines and columns there are. */
void screen_begin(unsigned int *lines, unsigned int *columns);
/* Clears what is left of what was there before. */
void screen_end(void);

#endif
