/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that ask servers on HTTP, in builds that have no client for that. */
#include "cli/command_internal.h"

static int refuse(const char *name)
{
	return complain(EXIT_USAGE, "%s: this rpcprof was built without it: configure with "
	                            "-DRPCPROF_PUSH=ON, which takes libcurl", name);
}

int command_push(int argc, char **argv)
{
	(void)argc;
	return refuse(argv[0]);
}

int command_pull(int argc, char **argv)
{
	(void)argc;
	return refuse(argv[0]);
}

int command_autopgo(int argc, char **argv)
{
	(void)argc;
	return refuse(argv[0]);
}
