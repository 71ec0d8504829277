/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of pushes, for rpcprof_metrics_text(). */
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/metrics_internal.h"
#include "push/push_internal.h"
#include "push/spool_list_internal.h"

#define URL_CHARS 256

struct seen {
	uint32_t place;
	char url[URL_CHARS];
	struct rpcprof_push_stats stats;
	char *spool; /* a copy; NULL: there is none */
	uint32_t target;
	uint64_t spool_files, spool_bytes;
};

struct all_seen {
	struct seen *list;
	size_t count;
};

/* One for which there is no memory is missing from this scrape. */
static void look(void *arg, struct rpcprof_push *push)
{
	struct seen seen = {.place = push->place, .stats.size = sizeof(seen.stats),
	                    .target = push->spool.target};
	struct all_seen *all = arg;
	struct seen *longer = realloc(all->list, (all->count + 1) * sizeof(*longer));

	if (longer == NULL)
		return;
	all->list = longer;
	if (rpcprof_push_get_stats(push, &seen.stats) != 0)
		return;
	snprintf(seen.url, sizeof(seen.url), "%s", push->url);
	if (push->spool.path != NULL)
		seen.spool = strdup(push->spool.path);
	longer[all->count++] = seen;
}

static void write_name(FILE *out, const char *name, const struct seen *seen)
{
	fprintf(out, "%s{push=\"%" PRIu32 "\",", name, seen->place);
	rpcprof_metrics_write_label(out, "url", seen->url);
}

static void write_counts(FILE *out, const struct all_seen *all)
{
	static const struct {
		const char *name, *type, *help;
		size_t offset;
	} families[] = {
		{"rpcprof_push_taken_total", "counter", "Profiles given to be sent.",
		 offsetof(struct rpcprof_push_stats, taken)},
		{"rpcprof_push_split_total", "counter", "Further parts of profiles that were too large.",
		 offsetof(struct rpcprof_push_stats, split)},
		{"rpcprof_push_sent_total", "counter", "Profiles that arrived.",
		 offsetof(struct rpcprof_push_stats, sent)},
		{"rpcprof_push_sent_bytes_total", "counter", "Bytes of profiles that arrived.",
		 offsetof(struct rpcprof_push_stats, sent_bytes)},
		{"rpcprof_push_retries_total", "counter", "Sends that failed and are made again.",
		 offsetof(struct rpcprof_push_stats, retried)},
		{"rpcprof_push_queued_profiles", "gauge", "Profiles that wait to be sent.",
		 offsetof(struct rpcprof_push_stats, queued)},
		{"rpcprof_push_queued_bytes", "gauge", "Memory of profiles that wait to be sent.",
		 offsetof(struct rpcprof_push_stats, queued_bytes)},
		{"rpcprof_push_folded_samples_total", "counter",
		 "Samples that became part of \"other\", for what servers take at once.",
		 offsetof(struct rpcprof_push_stats, folded)},
		{"rpcprof_push_labels_capped_total", "counter",
		 "Values of labels that were sent as \"other\", for label_values.",
		 offsetof(struct rpcprof_push_stats, labels_capped)},
		{"rpcprof_push_spooled_total", "counter", "Profiles written to the spool.",
		 offsetof(struct rpcprof_push_stats, spooled)},
		{"rpcprof_push_unspooled_total", "counter", "Profiles taken from the spool.",
		 offsetof(struct rpcprof_push_stats, unspooled)},
		{"rpcprof_push_merged_total", "counter",
		 "Profiles taken from the spool that became part of another.",
		 offsetof(struct rpcprof_push_stats, merged)},
		{"rpcprof_push_spool_errors_total", "counter",
		 "Profiles that could not be written to the spool.",
		 offsetof(struct rpcprof_push_stats, spool_errors)},
		{"rpcprof_push_spool_damaged_total", "counter",
		 "Files of the spool deleted because they were not whole.",
		 offsetof(struct rpcprof_push_stats, spool_damaged)},
		{"rpcprof_push_spool_pruned_total", "counter",
		 "Files of the spool deleted for its size or their age.",
		 offsetof(struct rpcprof_push_stats, spool_pruned)},
		{"rpcprof_push_profiles_since_success", "gauge",
		 "Profiles given to be sent since the last time that one arrived.",
		 offsetof(struct rpcprof_push_stats, since_success)},
	};

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
		rpcprof_metrics_write_head(out, families[f].name, families[f].type, families[f].help);
		for (size_t i = 0; i < all->count; i++) {
			const char *stats = (const char *)&all->list[i].stats;

			write_name(out, families[f].name, &all->list[i]);
			fprintf(out, "} %" PRIu64 "\n",
			        *(const uint64_t *)(const void *)(stats + families[f].offset));
		}
	}
}

static void write_dropped(FILE *out, const struct all_seen *all)
{
	static const struct {
		const char *reason;
		size_t offset;
	} reasons[] = {
		{"full", offsetof(struct rpcprof_push_stats, dropped_full)},
		{"refused", offsetof(struct rpcprof_push_stats, dropped_refused)},
		{"uncertain", offsetof(struct rpcprof_push_stats, dropped_uncertain)},
		{"old", offsetof(struct rpcprof_push_stats, dropped_old)},
		{"invalid", offsetof(struct rpcprof_push_stats, dropped_invalid)},
		{"closed", offsetof(struct rpcprof_push_stats, dropped_closed)},
	};

	rpcprof_metrics_write_head(out, "rpcprof_push_dropped_total", "counter",
	                           "Profiles that were not sent and will not be.");
	for (size_t i = 0; i < all->count; i++) {
		const char *stats = (const char *)&all->list[i].stats;

		for (size_t r = 0; r < sizeof(reasons) / sizeof(reasons[0]); r++) {
			write_name(out, "rpcprof_push_dropped_total", &all->list[i]);
			fprintf(out, ",reason=\"%s\"} %" PRIu64 "\n", reasons[r].reason,
			        *(const uint64_t *)(const void *)(stats + reasons[r].offset));
		}
	}
}

static void write_times(FILE *out, const struct all_seen *all)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} times[] = {
		{"rpcprof_push_last_success_timestamp_seconds", "When a profile last arrived; 0: never.",
		 offsetof(struct rpcprof_push_stats, last_success_ns)},
		{"rpcprof_push_last_failure_timestamp_seconds", "When a send last failed; 0: never.",
		 offsetof(struct rpcprof_push_stats, last_failure_ns)},
	};

	for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
		rpcprof_metrics_write_head(out, times[t].name, "gauge", times[t].help);
		for (size_t i = 0; i < all->count; i++) {
			const char *stats = (const char *)&all->list[i].stats;
			const int64_t *ns = (const int64_t *)(const void *)(stats + times[t].offset);

			write_name(out, times[t].name, &all->list[i]);
			fputs("} ", out);
			rpcprof_metrics_write_seconds(out, (uint64_t)*ns);
			fputc('\n', out);
		}
	}
}

/* What waits in a spool for that server, whichever process put it there. */
static void look_into_spool(struct seen *seen)
{
	int dir = open(seen->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct rpcprof_spool_list list;

	if (dir < 0)
		return; /* it is made for the first profile */
	rpcprof_spool_list(dir, &seen->target, &list);
	seen->spool_files = list.count;
	seen->spool_bytes = list.bytes;
	free(list.entries);
	close(dir);
}

static void write_spools(FILE *out, struct all_seen *all)
{
	const char *files = "rpcprof_push_spool_files", *bytes = "rpcprof_push_spool_bytes";

	rpcprof_metrics_write_head(out, files, "gauge",
	                           "Profiles that wait in the spool, of all processes that share it.");
	for (size_t i = 0; i < all->count; i++) {
		if (all->list[i].spool == NULL)
			continue;
		look_into_spool(&all->list[i]);
		write_name(out, files, &all->list[i]);
		fprintf(out, "} %" PRIu64 "\n", all->list[i].spool_files);
	}
	rpcprof_metrics_write_head(out, bytes, "gauge", "Bytes of their files.");
	for (size_t i = 0; i < all->count; i++) {
		if (all->list[i].spool == NULL)
			continue;
		write_name(out, bytes, &all->list[i]);
		fprintf(out, "} %" PRIu64 "\n", all->list[i].spool_bytes);
	}
}

void rpcprof_push_write_metrics(FILE *out)
{
	struct all_seen all = {NULL, 0};

	rpcprof_push_walk(look, &all);
	if (all.count > 0) {
		write_counts(out, &all);
		write_dropped(out, &all);
		write_times(out, &all);
		write_spools(out, &all);
	}
	for (size_t i = 0; i < all.count; i++)
		free(all.list[i].spool);
	free(all.list);
}
