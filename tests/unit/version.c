/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/version.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(version, string_is_that_of_the_header)
{
	char expected[32];
	snprintf(expected, sizeof(expected), "%d.%d.%d", RPCPROF_VERSION_MAJOR,
	         RPCPROF_VERSION_MINOR, RPCPROF_VERSION_PATCH);
	cr_assert_str_eq(rpcprof_version(), expected);
}
