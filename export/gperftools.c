/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU profiler of gperftools as a backend.
 *
 * It runs from initialize to shutdown, writing to memory that has a file descriptor: each report
 * has it write out what it gathered, takes the whole records that are new, and gives their memory
 * back. No sample is lost or counted twice between windows.
 *
 * Its functions are weak here, so that this library needs it no more than the program does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "export/gperftools_internal.h"
#include "rpcprof/backend.h"
#include "rpcprof/control.h"

/* gperftools/profiler.h */
struct ProfilerState {
	int enabled;
	time_t start_time;
	char profile_name[1024];
	int samples_gathered;
};
#pragma GCC visibility push(default)
extern int ProfilerStart(const char *file) __attribute__((weak));
extern void ProfilerStop(void) __attribute__((weak));
extern void ProfilerFlush(void) __attribute__((weak));
extern void ProfilerGetCurrentState(struct ProfilerState *state) __attribute__((weak));
#pragma GCC visibility pop

static struct {
	int fd;
	off_t taken; /* bytes of whole records that were reported */
	struct rpcprof_gperftools profile;
} self = {.fd = -1};

static int start_into(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return ProfilerStart(path) != 0 ? 0 : -EIO;
}

static int initialize(void *arg)
{
	struct ProfilerState state = {0};
	int fd, error;

	(void)arg;
	if (ProfilerStart == NULL || ProfilerStop == NULL || ProfilerFlush == NULL ||
	    ProfilerGetCurrentState == NULL) {
		rpcprof_log(RPCPROF_LOG_ERROR, "process_cpu: the program has no CPU profiler of "
		            "gperftools; link it with -Wl,--no-as-needed -lprofiler");
		return -ENOTSUP;
	}
	ProfilerGetCurrentState(&state);
	if (state.enabled)
		return -EBUSY;
	fd = memfd_create("rpcprof-cpu", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = start_into(fd);
	if (error != 0) {
		close(fd);
		return error;
	}
	self.fd = fd;
	self.taken = 0;
	self.profile = (struct rpcprof_gperftools){0};
	return 0;
}

/* What was written since, malloc'ed; a signal may be adding to it. */
static int read_new(uintptr_t **words, size_t *count)
{
	struct stat status;
	size_t bytes;
	ssize_t got;

	if (fstat(self.fd, &status) != 0)
		return -errno;
	bytes = (size_t)(status.st_size - self.taken);
	*words = malloc(bytes + 1); /* not of 0 */
	if (*words == NULL)
		return -ENOMEM;
	got = pread(self.fd, *words, bytes, self.taken);
	*count = got > 0 ? (size_t)got / sizeof(**words) : 0;
	return got >= 0 ? 0 : -errno;
}

static int report(void *arg, const struct rpcprof_report *report)
{
	struct rpcprof_window_profile profile = {0};
	uintptr_t *words = NULL;
	uint8_t *bytes = NULL;
	size_t count = 0, used = 0;
	int error;

	(void)arg;
	ProfilerFlush();
	error = read_new(&words, &count);
	self.profile.begin_ns = report->begin_ns;
	self.profile.end_ns = report->end_ns;
	if (error == 0)
		error = rpcprof_gperftools_convert(&self.profile, words, count, &used, &bytes,
		                                   &profile.length);
	free(words);
	if (error == 0) {
		profile.bytes = bytes;
		error = rpcprof_report_give(report, &profile);
		free(bytes);
	}
	self.taken += (off_t)(used * sizeof(*words));
	/* Only a wish: what is not given back is memory, not a mistake. */
	(void)fallocate(self.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, self.taken);
	return error == -ENODATA ? 0 : error;
}

static void shut_down(void *arg)
{
	(void)arg;
	ProfilerStop();
	close(self.fd);
	self.fd = -1;
}

const struct rpcprof_backend *rpcprof_backend_gperftools(void)
{
	static const struct rpcprof_backend backend = {
		.size = sizeof(backend), .name = "process_cpu", .initialize = initialize,
		.report = report, .shutdown = shut_down};

	return &backend;
}
