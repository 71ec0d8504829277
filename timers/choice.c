/* SPDX-License-Identifier: Apache-2.0 */
/* Which counter can be trusted. No shared words. */
#include "clock_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/"

/* NULL if the process can read the raw counter at all, else why not. */
static const char *raw_forbidden(void)
{
#if defined(__x86_64__)
	int mode = 0;

	if (prctl(PR_GET_TSC, &mode) != 0)
		return "the kernel does not say whether the TSC may be read";
	return mode == PR_TSC_SIGSEGV ? "this process is forbidden to read the TSC" : NULL;
#elif defined(__aarch64__)
	int mode = 0;

	/* Kernels before 6.12 have no such prctl here, and never forbid it. */
	if (prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_SIGSEGV)
		return "this process is forbidden to read the counter";
	return NULL;
#else
	return "this processor has no counter that is known here";
#endif
}

/* A word of a list that is separated by blanks and may end in a newline. */
static bool has_word(const char *list, const char *word)
{
	size_t bytes = strlen(word);

	while (*(list += strspn(list, " \n")) != '\0') {
		size_t next = strcspn(list, " \n");

		if (next == bytes && memcmp(list, word, bytes) == 0)
			return true;
		list += next;
	}
	return false;
}

bool rpcprof_clock_kernel_trusts_tsc(const char *current, const char *available)
{
	static const char paravirtual[] =
		"kvm-clock xen hyperv_clocksource_tsc_page hyperv_clocksource_msr";
	char name[64];

	if (sscanf(current, "%63s", name) != 1)
		return false;
	/* A TSC found unstable is no longer available. A guest prefers its hypervisor's clock,
	 * which counts by the same TSC, so there being available has to be enough. */
	return strcmp(name, "tsc") == 0 ||
	       (has_word(paravirtual, name) && has_word(available, "tsc"));
}

#if defined(__x86_64__)
/* The beginning of a small file, terminated. */
static bool read_text(const char *path, char *text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, cap - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}
#endif

/* NULL if the raw counter is as good as the kernel's own, else why not. */
static const char *raw_untrusted(void)
{
#if defined(__x86_64__)
	char current[64], available[256];
	unsigned int a, b, c, d;

	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & 1u << 8))
		return "the CPU does not promise an invariant TSC";
	if (!read_text(CLOCKSOURCE "current_clocksource", current, sizeof(current)) ||
	    !read_text(CLOCKSOURCE "available_clocksource", available, sizeof(available)))
		return "the kernel's clock source cannot be read";
	if (!rpcprof_clock_kernel_trusts_tsc(current, available))
		return "the kernel does not trust the TSC";
#endif
	return NULL; /* the architecture promises that cntvct_el0 is steady and the same for all */
}

static int choose_raw(char reason[96])
{
	const char *why = raw_untrusted();

	if (why)
		snprintf(reason, 96, "Raw counter, as configured, although %s.", why);
	else
		snprintf(reason, 96, "Raw counter, as configured.");
	return RPCPROF_CLOCK_RAW;
}

int rpcprof_clock_choose(enum rpcprof_clock_kind asked, char reason[96])
{
	const char *why;

	if (asked == RPCPROF_CLOCK_MONOTONIC) {
		snprintf(reason, 96, "CLOCK_MONOTONIC, as configured.");
		return RPCPROF_CLOCK_MONOTONIC;
	}
	if (asked != RPCPROF_CLOCK_AUTO && asked != RPCPROF_CLOCK_RAW)
		return -EINVAL;
	why = raw_forbidden();
	if (asked == RPCPROF_CLOCK_RAW)
		return why ? -EINVAL : choose_raw(reason);
	if (!why)
		why = raw_untrusted();
	if (why)
		snprintf(reason, 96, "CLOCK_MONOTONIC, because %s.", why);
	else
		snprintf(reason, 96, "Raw counter: it is steady and the kernel trusts it.");
	return why ? RPCPROF_CLOCK_MONOTONIC : RPCPROF_CLOCK_RAW;
}
