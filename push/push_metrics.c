/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of pushes, for rpcprof_metrics_text(). */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "export/metrics_internal.h"
#include "push/push_internal.h"

#define URL_CHARS 256

struct seen {
	uint32_t place;
	char url[URL_CHARS];
	struct rpcprof_push_stats stats;
};

struct all_seen {
	struct seen *list;
	size_t count;
};

/* One for which there is no memory is missing from this scrape. */
static void look(void *arg, struct rpcprof_push *push)
{
	struct all_seen *all = arg;
	struct seen *longer = realloc(all->list, (all->count + 1) * sizeof(*longer));
	struct seen *seen;

	if (longer == NULL)
		return;
	all->list = longer;
	seen = &longer[all->count];
	seen->place = push->place;
	snprintf(seen->url, sizeof(seen->url), "%s", push->url);
	seen->stats.size = sizeof(seen->stats);
	if (rpcprof_push_get_stats(push, &seen->stats) == 0)
		all->count++;
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
		{"rpcprof_push_sent_total", "counter", "Profiles that arrived.",
		 offsetof(struct rpcprof_push_stats, sent)},
		{"rpcprof_push_sent_bytes_total", "counter", "Bytes of profiles that arrived.",
		 offsetof(struct rpcprof_push_stats, sent_bytes)},
		{"rpcprof_push_retries_total", "counter", "Sends that failed and are made again.",
		 offsetof(struct rpcprof_push_stats, retried)},
		{"rpcprof_push_queued_profiles", "gauge", "Profiles that wait to be sent.",
		 offsetof(struct rpcprof_push_stats, queued)},
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

static void write_last_success(FILE *out, const struct all_seen *all)
{
	const char *name = "rpcprof_push_last_success_timestamp_seconds";

	rpcprof_metrics_write_head(out, name, "gauge", "When a profile last arrived; 0: never.");
	for (size_t i = 0; i < all->count; i++) {
		write_name(out, name, &all->list[i]);
		fputs("} ", out);
		rpcprof_metrics_write_seconds(out, (uint64_t)all->list[i].stats.last_success_ns);
		fputc('\n', out);
	}
}

void rpcprof_push_write_metrics(FILE *out)
{
	struct all_seen all = {NULL, 0};

	rpcprof_push_walk(look, &all);
	if (all.count > 0) {
		write_counts(out, &all);
		write_dropped(out, &all);
		write_last_success(out, &all);
	}
	free(all.list);
}
