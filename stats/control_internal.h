/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CONTROL_INTERNAL_H
#define RPCPROF_CONTROL_INTERNAL_H

#include "stats/arena_internal.h"

/* Where the parts of an arena lie: bytes from its beginning. */
struct rpcprof_layout {
	size_t shared, fresh, history, cells, tags, total;
	uint64_t cell_count; /* the null cell included */
};

/* config.c */
int rpcprof_config_fill(const struct rpcprof_config *config, struct rpcprof_config *filled);
void rpcprof_layout_fill(const struct rpcprof_config *config, struct rpcprof_layout *layout,
                         struct rpcprof_tag_limits *limits);

/* copy.c: another copy of the library in this process? */
int rpcprof_copy_check(void);
void rpcprof_copy_mark(void);

#endif
