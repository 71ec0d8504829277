/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PAGE_INTERNAL_H
#define RPCPROF_PAGE_INTERNAL_H

/* The report as an HTML page, and the parts of it that page/embed.c takes into the library. */
#include <stdio.h>

#include "report/tree_internal.h"

struct report_page {
	const struct rpcprof_pprof *names;
	const struct calls *calls;
	const struct tree *tree;
	bool has_base; /* the tree's other column has something */
	/* Told how far it is; NULL: nobody. */
	void (*progress)(const char *what, size_t done, size_t whole);
};

/* Writes it. 0 or -ENOMEM; what the stream did not take is the caller's to ask. */
int report_page_write(FILE *out, const struct report_page *page);

/* The page of this process: the last calls to end, `last` of them, and those in flight, as many at
 * most. text: the caller's, to be given to free(). 0 or a negative errno. */
int report_page_of_process(uint32_t last, char **text, size_t *length);

struct page_part {
	const char *name, *begin, *end;
};

extern const struct page_part report_page_parts[]; /* the last has no name */
extern const char *const report_page_html;         /* terminated */

#endif
