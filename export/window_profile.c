/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_internal.h"
#include "export/window_internal.h"

#include "rpcprof/version.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LABELS_MAX (3 + RPCPROF_LABELS_MAX)
#define DEPTH_MAX (RPCPROF_STACK_NODES + 1)

/* A profile while its samples are added. Errors stick: the first is what make returns. */
struct maker {
	struct rpcprof_pprof *pprof;
	const struct rpcprof_aggregate *aggregate;
	uint64_t *locations; /* by series; 0 = not yet made */
	int error;
};

static const char *name_of(uint32_t tag)
{
	return tag != 0 ? rpcprof_tag_name(tag, NULL) : "(none)";
}

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

static int64_t keep(struct maker *maker, int64_t id)
{
	if (id < 0 && maker->error == 0)
		maker->error = (int)id;
	return id < 0 ? 0 : id;
}

static const struct rpcprof_series *parent_of(const struct maker *maker,
                                              const struct rpcprof_series *series)
{
	return &maker->aggregate->series[series->parent];
}

/* The file of a method's function and of its stages' is the method, so that readers that show
 * files group by it. */
static const char *file_of(const struct maker *maker, const struct rpcprof_series *series)
{
	if (series->depth == 0)
		return "";
	while (series->depth > 1)
		series = parent_of(maker, series);
	return name_of(series->tag);
}

static uint64_t location_of(struct maker *maker, uint32_t number)
{
	const struct rpcprof_series *series = &maker->aggregate->series[number];

	if (maker->locations[number] == 0)
		maker->locations[number] = (uint64_t)keep(
			maker, rpcprof_pprof_location(maker->pprof, name_of(series->tag),
		                                      file_of(maker, series)));
	return maker->locations[number];
}

static size_t add_label(struct maker *maker, struct rpcprof_pprof_label *label, const char *key,
                        const char *value)
{
	*label = (struct rpcprof_pprof_label){
		.key = keep(maker, rpcprof_pprof_string(maker->pprof, key)),
		.str = keep(maker, rpcprof_pprof_string(maker->pprof, value))};
	return 1;
}

/* rpc_method is "package.Service/Method": what the convention of that name asks. */
static size_t labels_of(struct maker *maker, const struct rpcprof_series *side,
                        struct rpcprof_pprof_label *labels)
{
	const struct rpcprof_aggregate_options *options = &maker->aggregate->options;
	const struct rpcprof_series_labels *set = &side->labels;
	const char *method = name_of(set->method);
	char number[16];
	size_t count = add_label(maker, &labels[0], "side", name_of(set->side));

	if (set->has_status)
		count += add_label(maker, &labels[count], "rpc_response_status_code",
		                   rpcprof_status_name(set->status, number));
	if (options->by_method)
		count += add_label(maker, &labels[count], "rpc_method",
		                   method + (method[0] == '/'));
	for (uint32_t i = 0; i < options->key_count; i++)
		if (set->values[i] != 0)
			count += add_label(maker, &labels[count], name_of(options->keys[i]),
			                   name_of(set->values[i]));
	return count;
}

static void add_sample(struct maker *maker, uint32_t number,
                       const struct rpcprof_series_sums *sums)
{
	const int64_t values[] = {(int64_t)sums->calls, (int64_t)sums->stages,
	                          (int64_t)sums->wall_ns};
	struct rpcprof_pprof_label labels[LABELS_MAX];
	uint64_t locations[DEPTH_MAX];
	size_t depth = 0, label_count;

	locations[depth++] = location_of(maker, number);
	while (maker->aggregate->series[number].depth > 0 && depth < DEPTH_MAX) {
		number = maker->aggregate->series[number].parent;
		locations[depth++] = location_of(maker, number);
	}
	label_count = labels_of(maker, &maker->aggregate->series[number], labels);
	if (maker->error == 0)
		maker->error = rpcprof_pprof_add(maker->pprof, locations, depth, values, labels,
		                                 label_count);
}

static void add_samples(struct maker *maker, const struct rpcprof_consumer *consumer)
{
	for (uint32_t i = 0; i < consumer->count && maker->error == 0; i++) {
		const struct rpcprof_series_sums *delta = &consumer->delta[i];

		if ((delta->calls | delta->stages | delta->wall_ns) != 0)
			add_sample(maker, i, delta);
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

static struct rpcprof_pprof *open_pprof(const struct rpcprof_profile *profile)
{
	static const struct rpcprof_pprof_type types[] = {
		{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};
	struct comments comments;
	char program[4096];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (length < 0)
		length = snprintf(program, sizeof(program), "%s", program_invocation_name);
	program[(size_t)length < sizeof(program) ? (size_t)length : sizeof(program) - 1] = '\0';
	write_comments(profile, &comments);
	return rpcprof_pprof_open(&(struct rpcprof_pprof_info){
		.types = types, .type_count = 3, .period_type = types[2], .period = 1,
		.time_ns = profile->begin_ns, .duration_ns = profile->length_ns,
		.mapping_file = program, .comments = comments.list,
		.comment_count = comments.count});
}

int rpcprof_profile_make(struct rpcprof_profile *profile, const struct rpcprof_reader *reader,
                         const struct rpcprof_aggregate *aggregate)
{
	struct maker maker = {.aggregate = aggregate};

	maker.locations = calloc(reader->consumer.count + 1, sizeof(*maker.locations));
	maker.pprof = maker.locations != NULL ? open_pprof(profile) : NULL;
	if (maker.pprof == NULL)
		maker.error = -ENOMEM;
	else
		add_samples(&maker, &reader->consumer);
	if (maker.error == 0)
		maker.error = rpcprof_pprof_encode(maker.pprof, &profile->bytes, &profile->length);
	if (maker.pprof != NULL)
		rpcprof_pprof_close(maker.pprof);
	free(maker.locations);
	return maker.error;
}
