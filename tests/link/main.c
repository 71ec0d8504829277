/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main PLUGIN: code in the program, in the library, in a linked and in an opened object must see
 * one switch: when the library flips it, and when somebody flips it through another mapping of a
 * page that was mapped over rpcprof_control_page.
 */
#include "rpcprof/rpcprof.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

bool linked_enabled(void);
const void *linked_page(void);

static bool (*opened_enabled)(void);
static const void *(*opened_page)(void);
static int failures;

static void check(bool ok, const char *when, const char *who)
{
	if (ok)
		return;
	fprintf(stderr, "%s: wrong in %s\n", when, who);
	failures++;
}

/* The library's own look at the switch, not inlined here. */
static bool library_enabled(void)
{
	struct rpcprof_stat stat = rpcprof_stat_begin_on(RPCPROF_TAG_SERVER, 0);
	bool on = !rpcprof_stat_is_null(stat);
	rpcprof_stat_discard(stat);
	return on;
}

static void all_see(bool on, const char *when)
{
	check(rpcprof_enabled() == on, when, "the program");
	check(library_enabled() == on, when, "the library");
	check(linked_enabled() == on, when, "the linked object");
	check(opened_enabled() == on, when, "the opened object");
}

/* Another mapping of the page that from now on lies at rpcprof_control_page. */
static union rpcprof_control *share(void)
{
	int fd = memfd_create("control", MFD_CLOEXEC);
	union rpcprof_control *other = MAP_FAILED;
	void *over = &rpcprof_control_page;

	if (fd >= 0 && ftruncate(fd, sizeof(*other)) == 0)
		other = mmap(NULL, sizeof(*other), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (other == MAP_FAILED)
		return NULL;
	memcpy(other, &rpcprof_control_page, sizeof(*other));
	if (mmap(over, sizeof(*other), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != over)
		return NULL;
	return other;
}

static bool open_plugin(const char *path)
{
	void *plugin = dlopen(path, RTLD_NOW);

	if (plugin == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
	*(void **)&opened_enabled = dlsym(plugin, "opened_enabled");
	*(void **)&opened_page = dlsym(plugin, "opened_page");
	return opened_enabled != NULL && opened_page != NULL;
}

int main(int argc, char **argv)
{
	union rpcprof_control *other;

	if (argc != 2 || !open_plugin(argv[1]) || rpcprof_init(NULL) != 0)
		return 2;
	check(linked_page() == &rpcprof_control_page, "address", "the linked object");
	check(opened_page() == &rpcprof_control_page, "address", "the opened object");
	check((uintptr_t)&rpcprof_control_page % RPCPROF_CONTROL_BYTES == 0, "alignment", "the page");

	all_see(false, "after init");
	rpcprof_enable(true);
	all_see(true, "switched on");
	rpcprof_enable(false);
	all_see(false, "switched off");

	other = share();
	if (other == NULL)
		return 2;
	all_see(false, "shared");
	__atomic_store_n(&other->head.enabled, 1u, __ATOMIC_RELEASE);
	all_see(true, "switched on from outside");
	__atomic_store_n(&other->head.enabled, 0u, __ATOMIC_RELEASE);
	all_see(false, "switched off from outside");
	rpcprof_enable(true);
	check(other->head.enabled == 1, "switched on inside", "the other mapping");
	all_see(true, "switched on inside");
	return failures == 0 ? 0 : 1;
}
