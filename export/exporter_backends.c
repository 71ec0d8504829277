/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where profiles come from: our own, of calls, and those of backends that were added.
 */
#include "export/exporter_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rpcprof/control.h"

#define NAME_MAX_BYTES 32

static const struct rpcprof_backend *added[RPCPROF_BACKENDS_MAX];
static uint32_t added_count;

static bool is_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";

	return name != NULL && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, letters) == strlen(name) && strlen(name) <= NAME_MAX_BYTES &&
	       strcmp(name, "rpc") != 0 && strcmp(name, "wall") != 0;
}

static int check(const struct rpcprof_backend *backend)
{
	const char *wrong = NULL;

	if (backend == NULL || backend->size != sizeof(*backend))
		wrong = "size is not that of a version of the table";
	else if (!is_name(backend->name))
		wrong = "name is not [a-z][a-z0-9_]*, 32 bytes at most, or one of ours (rpc, wall)";
	else if (backend->report == NULL)
		wrong = "report is NULL";
	if (wrong == NULL)
		return 0;
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_backend_add: %s", wrong);
	return -EINVAL;
}

int rpcprof_backends_add(const struct rpcprof_backend *backend)
{
	int error = check(backend);

	for (uint32_t i = 0; error == 0 && i < added_count; i++)
		if (strcmp(added[i]->name, backend->name) == 0)
			error = -EEXIST;
	if (error == 0 && added_count == RPCPROF_BACKENDS_MAX)
		error = -ENOSPC;
	if (error == 0)
		added[added_count++] = backend;
	return error;
}

int rpcprof_backends_remove(const struct rpcprof_backend *backend)
{
	uint32_t i = 0;

	while (i < added_count && added[i] != backend)
		i++;
	if (i == added_count)
		return -ENOENT;
	added_count--;
	memmove(&added[i], &added[i + 1], (added_count - i) * sizeof(added[0]));
	return 0;
}

static int open_one(struct rpcprof_exporter *exporter, const struct rpcprof_backend *backend)
{
	int error = backend->initialize != NULL ? backend->initialize(backend->arg) : 0;

	if (error == 0)
		exporter->backends[exporter->backend_count++] = backend;
	else
		rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_exporter_start: backend %s: error %d",
		            backend->name, -error);
	return error;
}

int rpcprof_backends_open(struct rpcprof_exporter *exporter)
{
	int error = open_one(exporter, &exporter->wall);

	for (uint32_t i = 0; error == 0 && i < added_count; i++)
		error = open_one(exporter, added[i]);
	return error;
}

void rpcprof_backends_close(struct rpcprof_exporter *exporter)
{
	while (exporter->backend_count > 0) {
		const struct rpcprof_backend *backend =
			exporter->backends[--exporter->backend_count];

		if (backend->shutdown != NULL)
			backend->shutdown(backend->arg);
	}
}

/* What a report's `to` points at. */
struct target {
	struct rpcprof_exporter *exporter;
	const struct rpcprof_backend *backend;
};

static void count_error(struct rpcprof_exporter *exporter, const struct rpcprof_backend *backend,
                        int error)
{
	char reason[128];

	rpcprof_exporter_state_lock();
	exporter->stats.report_errors++;
	exporter->stats.last_errno = -error;
	snprintf(exporter->stats.last_error, sizeof(exporter->stats.last_error),
	         "no profile of backend %s: %s", backend->name,
	         strerror_r(-error, reason, sizeof(reason)));
	rpcprof_exporter_state_unlock();
	rpcprof_log(RPCPROF_LOG_ERROR, "%s", exporter->stats.last_error);
}

int rpcprof_backends_report(struct rpcprof_exporter *exporter, int64_t begin_ns, int64_t end_ns)
{
	int first = 0;

	for (uint32_t i = 0; i < exporter->backend_count; i++) {
		const struct rpcprof_backend *backend = exporter->backends[i];
		struct target target = {exporter, backend};
		struct rpcprof_report report = {begin_ns, end_ns, &target};
		int error = backend->report(backend->arg, &report);

		if (error != 0 && backend != &exporter->wall)
			count_error(exporter, backend, error);
		if (first == 0)
			first = error;
	}
	return first;
}

int rpcprof_report_give(const struct rpcprof_report *report,
                        const struct rpcprof_window_profile *profile)
{
	const struct target *target = report->to;
	struct rpcprof_window_profile full = *profile;
	int error;

	if (full.name == NULL)
		full.name = target->backend->name;
	if (!is_name(full.name))
		return -EINVAL;
	if (full.begin_ns == 0 && full.end_ns == 0) {
		full.begin_ns = report->begin_ns;
		full.end_ns = report->end_ns;
	}
	error = rpcprof_exporter_to_directory(target->exporter, &full);
	rpcprof_exporter_to_callback(target->exporter, &full);
	rpcprof_exporter_state_lock();
	target->exporter->stats.reports++;
	rpcprof_exporter_state_unlock();
	return error;
}
