/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CLI_CALLS_INTERNAL_H
#define RPCPROF_CLI_CALLS_INTERNAL_H

/* The calls of saved dumps. */
#include "cli/filter_internal.h"
#include "report/calls_internal.h"

/* An exit_code; other than EXIT_DONE after a complaint. */
int calls_add_file(struct calls *calls, const struct input *input,
                   const struct call_filter *filter);

#endif
