/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config_internal.h"
#include "export/channel_internal.h"
#include "preload/preload_internal.h"
#include "rpcprof/control.h"

static const struct preload_push *push; /* NULL: none is open */
static pid_t process;

/* Beside this library. NULL: said why. */
static const struct preload_push *load(void)
{
	void *handle, *symbol;
	char *path = NULL;
	Dl_info info;

	if (!dladdr(&push, &info) || strchr(info.dli_fname, '/') == NULL ||
	    asprintf(&path, "%.*s/" PRELOAD_PUSH_LIBRARY,
	             (int)(strrchr(info.dli_fname, '/') - info.dli_fname), info.dli_fname) < 0)
		return NULL;
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	free(path);
	symbol = handle != NULL ? dlsym(handle, PRELOAD_PUSH_SYMBOL) : NULL;
	if (symbol == NULL)
		preload_say("profiles are not sent: %s", dlerror());
	return symbol;
}

/* libcurl's OpenSSL would find some of its functions in the program's BoringSSL, which has the same
 * names for others. */
static bool has_other_tls(void)
{
	return dlsym(RTLD_DEFAULT, "BORINGSSL_self_test") != NULL;
}

/* At exit(), before OpenSSL takes itself down: that has registered before this was. */
static void stop(void)
{
	const struct preload_push *open = push;

	if (open == NULL || process != getpid())
		return;
	push = NULL;
	(void)rpcprof_exporter_stop();
	open->close();
}

void preload_push_start(void)
{
	struct rpcprof_exporter_config exporter;
	const struct preload_push *found;
	char error[512];

	if (!config_is_asked_for())
		return;
	if (has_other_tls()) {
		preload_say("profiles are not sent: this program's BoringSSL would be taken for "
		            "libcurl's OpenSSL; `rpcprof profile' fetches them");
		return;
	}
	found = load();
	if (found == NULL)
		return;
	if (found->open(&exporter, error, sizeof(error)) != 0) {
		preload_say("profiles are not sent: %s", error);
		return;
	}
	if (exporter.size == 0)
		return;
	if (rpcprof_exporter_start(&exporter) != 0 || atexit(stop) != 0) {
		preload_say("profiles are not sent: no memory or thread");
		(void)rpcprof_exporter_stop();
		found->close();
		return;
	}
	service_pushes_set(found->pushes);
	rpcprof_channel_labels_set(found->set_label); /* of the exporter here, which has none */
	process = getpid();
	push = found;
}
