/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/version.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *rpcprof_version(void)
{
	return TEXT(RPCPROF_VERSION_MAJOR) "." TEXT(RPCPROF_VERSION_MINOR) "." TEXT(
		RPCPROF_VERSION_PATCH);
}
