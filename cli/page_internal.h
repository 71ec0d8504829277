/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CLI_PAGE_INTERNAL_H
#define RPCPROF_CLI_PAGE_INTERNAL_H

#include "cli/sources_internal.h"

/* The report (report/page_internal.h) of what was loaded. base: the file it is compared with, or
 * NULL. An exit_code; other than EXIT_DONE after a complaint. */
int page_write(FILE *out, const struct loaded *loaded, const char *base);

#endif
