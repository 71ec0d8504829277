/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PAGE_INTERNAL_H
#define RPCPROF_PAGE_INTERNAL_H

/* The report as an HTML page, and the parts of it that page/embed.c takes into the program. */
#include "cli/sources_internal.h"

/* What the page says beside what was loaded. */
struct page {
	const char *base; /* the file it is compared with, or NULL */
};

struct page_part {
	const char *name, *begin, *end;
};

extern const struct page_part page_parts[]; /* the last has no name */
extern const char *const page_html;         /* terminated */

int page_write(FILE *out, const struct loaded *loaded, const struct page *page);

#endif
