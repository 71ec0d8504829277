/* SPDX-License-Identifier: Apache-2.0 */
#include "export/series_profile_internal.h"
#include "export/window_internal.h"

#include "rpcprof/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *rpcprof_status_name(int32_t status, char buffer[16])
{
	static const char *const names[] = {
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED",
		"NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL",
		"UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"};

	if (status >= 0 && (size_t)status < sizeof(names) / sizeof(names[0]))
		return names[status];
	snprintf(buffer, 16, "%" PRId32, status);
	return buffer;
}

static void add_samples(struct rpcprof_series_profile *out, const struct rpcprof_consumer *consumer)
{
	for (uint32_t i = 0; i < consumer->count; i++) {
		const struct rpcprof_series_sums *delta = &consumer->delta[i];
		const int64_t values[] = {(int64_t)delta->calls, (int64_t)delta->stages,
		                          (int64_t)delta->wall_ns};

		if ((delta->calls | delta->stages | delta->wall_ns) != 0)
			rpcprof_series_profile_add(out, i, values);
	}
}

/* For people: `pprof -comments`. */
struct comments {
	char text[5][192];
	const char *list[5];
	size_t count;
};

static void window_comment(const struct rpcprof_profile *profile, char *text, size_t bytes)
{
	time_t seconds = (time_t)(profile->begin_ns / 1000000000);
	struct tm tm;
	char date[32] = "";

	if (gmtime_r(&seconds, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, bytes, "window: %s.%03dZ, %.3f s", date,
	         (int)(profile->begin_ns / 1000000 % 1000), (double)profile->length_ns / 1e9);
}

static void clock_comment(char *text, size_t bytes)
{
	static const char *const kinds[] = {"auto", "raw", "monotonic", "custom"};
	struct rpcprof_clock_info info = {0};

	if (rpcprof_clock_get_info(&info) == 0)
		snprintf(text, bytes, "clock: %s, frequency known to %.3g ppm (%s)",
		         kinds[(uint32_t)info.kind % 4], info.frequency_error_ppm, info.reason);
}

static void write_comments(const struct rpcprof_profile *profile, struct comments *comments)
{
	size_t bytes = sizeof(comments->text[0]);

	memset(comments, 0, sizeof(*comments));
	for (size_t i = 0; i < 5; i++)
		comments->list[i] = comments->text[i];
	snprintf(comments->text[0], bytes, "rpcprof %s", rpcprof_version());
	window_comment(profile, comments->text[1], bytes);
	snprintf(comments->text[2], bytes, "unaggregated: %" PRIu64, profile->unaggregated);
	clock_comment(comments->text[3], bytes);
	snprintf(comments->text[4], bytes, "overflow: %" PRIu64, profile->overflow);
	comments->count = profile->overflow != 0 ? 5 : 4;
}

int rpcprof_profile_make(struct rpcprof_profile *profile, const struct rpcprof_reader *reader,
                         const struct rpcprof_aggregate *aggregate)
{
	static const struct rpcprof_pprof_type types[] = {
		{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};
	struct rpcprof_series_profile out;
	struct comments comments;

	write_comments(profile, &comments);
	rpcprof_series_profile_open(
		&out, aggregate, reader->consumer.count,
		&(struct rpcprof_pprof_info){
			.types = types, .type_count = 3, .period_type = types[2], .period = 1,
			.time_ns = profile->begin_ns, .duration_ns = profile->length_ns,
			.comments = comments.list, .comment_count = comments.count});
	add_samples(&out, &reader->consumer);
	return rpcprof_series_profile_close(&out, &profile->bytes, &profile->length);
}
