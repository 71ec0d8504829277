/* SPDX-License-Identifier: Apache-2.0 */
/* A second object that records: built twice, once linked to the program, once opened by it. */
#include "rpcprof/rpcprof.h"

__attribute__((visibility("default"))) bool PLUGIN_ENABLED(void);
__attribute__((visibility("default"))) const void *PLUGIN_PAGE(void);

bool PLUGIN_ENABLED(void)
{
	return rpcprof_enabled();
}

const void *PLUGIN_PAGE(void)
{
	return &rpcprof_control_page;
}
