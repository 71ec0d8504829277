/* SPDX-License-Identifier: Apache-2.0 */
/* Two copies of the library in one process: this program's own, and the shared one. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rpcprof/rpcprof.h"

static char message[512];

static void keep(void *arg, enum rpcprof_log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)snprintf(message, sizeof(message), "%s", text);
}

Test(copy, the_second_to_initialise_is_refused_and_names_the_first)
{
	struct rpcprof_config config = {.size = sizeof(config), .log = keep};
	void *handle = dlopen(RPCPROF_SHARED_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	int (*init)(const struct rpcprof_config *);
	int (*enable)(bool);

	cr_assert_not_null(handle);
	*(void **)&init = dlsym(handle, "rpcprof_init");
	*(void **)&enable = dlsym(handle, "rpcprof_enable");
	cr_assert(init != rpcprof_init);
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(init(&config), -EBUSY);
	/* It names the file that holds the first. */
	cr_assert(strstr(message, "test_shared_copy") != NULL, "%s", message);
	cr_assert_eq(enable(true), -ENODEV);
}
