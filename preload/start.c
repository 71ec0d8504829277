/* SPDX-License-Identifier: Apache-2.0 */
/* Before main() and after it. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "preload/core_internal.h"
#include "preload/preload_internal.h"
#include "rpcprof/rpcprof.h"

static pid_t process; /* that records; a forked child is another */
static char control[256]; /* the control address; "": the default */

void preload_say(const char *format, ...)
{
	char line[PRELOAD_PATH_MAX + 128] = "rpcprof: ";
	size_t length = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
	va_end(arguments);
	length = strlen(line);
	line[length++] = '\n';
	(void)!write(STDERR_FILENO, line, length);
}

static bool flag(const char *name)
{
	const char *value = getenv(name);

	return value && strcmp(value, "1") == 0;
}

/* A program that has rpcprof of its own records itself: two switches would be in each other's way. */
static bool records_itself(void)
{
	return dlsym(RTLD_DEFAULT, "rpcprof_init") != NULL;
}

/* Said before main(), since a program may close stderr before it ends, as those of coreutils do. */
static void warn_without_core(void)
{
	const char *first = getenv(PRELOAD_PROCESS);

	if (first && atoi(first) == (int)getpid() && !flag(PRELOAD_FOLLOW) &&
	    !dlsym(RTLD_NEXT, "grpc_init"))
		preload_say("%s is not linked to the shared library of gRPC core: nothing is recorded "
		    "unless it loads that later", program_invocation_short_name);
}

static void record(bool off)
{
	int error = rpcprof_init(NULL);

	if (error != 0) {
		preload_say("nothing is recorded: %s", strerror(-error));
		return;
	}
	process = getpid();
	rpcprof_enable(!off);
}

void preload_core_called(void)
{
	int error;

	if (process == 0 || process != getpid())
		return;
	if (strcmp(control, "none") != 0) {
		error = preload_control_start(control[0] ? control : NULL);
		if (error != 0)
			preload_say("no control address: %s", strerror(-error));
	}
#ifdef RPCPROF_CONFIG
	preload_push_start();
#endif
}

__attribute__((constructor)) static void start(void)
{
	const char *output = getenv(PRELOAD_OUTPUT), *address = getenv(PRELOAD_CONTROL);

	if (output)
		preload_output_open(output);
	if (address)
		snprintf(control, sizeof(control), "%s", address);
	if (records_itself()) {
		preload_say("nothing is recorded: the program has rpcprof of its own");
	} else {
		warn_without_core();
		record(flag(PRELOAD_OFF));
	}
	if (!flag(PRELOAD_FOLLOW))
		preload_environment_clean();
}

/* After the program's own atexit() functions and destructors: all that it did is in. */
__attribute__((destructor)) static void finish(void)
{
	int error;

	if (process == 0 || process != getpid())
		return;
	preload_control_stop();
	rpcprof_fini();
	if (!rpcprof_load_acquire(&preload_core.found)) /* F1, pairs with F2 */
		return; /* it never called core */
	error = preload_output_write();
	if (error != 0)
		preload_say("the calls could not be written: %s", strerror(-error));
}
