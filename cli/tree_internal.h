/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CLI_TREE_INTERNAL_H
#define RPCPROF_CLI_TREE_INTERNAL_H

/* The tree of stacks (report/tree_internal.h), of files. */
#include "cli/calls_internal.h"
#include "report/tree_internal.h"

/* Each an exit_code; other than EXIT_DONE after a complaint. */
int tree_add_calls(struct tree *tree, const struct calls *calls, int column);
/* type: which sample type; NULL: wall, or the profile's default. */
int tree_add_profile(struct tree *tree, const struct input *input, const char *type, int column);
/* A profile as the exporter writes them; of a tree of calls. */
int tree_to_profile(const struct tree *tree, const struct calls *calls,
                    struct rpcprof_pprof **profile);

#endif
