/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_EXPORTER_HARNESS_H
#define RPCPROF_TESTS_EXPORTER_HARNESS_H

/* What the tests of the exporter share: a fake clock, what a profile says, a directory. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "export/exporter_internal.h"
#include "export/pprof_read_internal.h"
#include "rpcprof/rpcprof.h"
#include "timers/clock_internal.h"

#define S 1000000000ll

/* 2026-11-21T15:43:10Z, a multiple of ten seconds. */
#define START_S 1795275790ll

/* A machine whose clocks stand still unless a test moves them. */
static int64_t monotonic = 5000 * S;
static int64_t utc = START_S * S;

static inline uint64_t fake_ticks(void)
{
	return (uint64_t)monotonic;
}

static inline int64_t fake_monotonic(void)
{
	return monotonic;
}

static inline int64_t fake_utc(void)
{
	return utc;
}

static inline void pass(int64_t ns)
{
	monotonic += ns;
	utc += ns;
}

static inline void init_fake(uint32_t capacity)
{
	static const struct rpcprof_clock_source source = {fake_ticks, fake_utc, fake_monotonic, 0};
	struct rpcprof_config config = {.size = sizeof(config), .capacity = capacity};

	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static inline void init_real(void)
{
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

/* What a profile says. */

struct said {
	int windows;
	int64_t begin_ns, end_ns;
	uint64_t calls, stages, wall_ns;
	uint64_t all_calls, all_wall_ns; /* of all windows */
	uint64_t unaggregated;
	char stacks[4096]; /* "root;...;leaf key=value,... calls stages wall\n" */
	char comments[1024];
};

static inline void say_stack(struct said *said, const struct rpcprof_pprof *model, size_t i)
{
	const struct pprof_sample *sample = &model->samples[i];
	const int64_t *values = rpcprof_pprof_values(model, i);
	char *out = said->stacks;
	size_t room = sizeof(said->stacks), n = strlen(out);

	for (uint32_t k = sample->depth; k-- > 0;) {
		const struct pprof_location *location =
			&model->locations[model->frames[sample->frames + k] - 1];
		const struct pprof_function *function =
			rpcprof_pprof_line_function(model, &model->lines[location->lines]);

		n += (size_t)snprintf(out + n, room - n, "%s%s",
		                      rpcprof_pprof_text(model, function->name), k ? ";" : "");
	}
	for (uint32_t k = 0; k < sample->label_count; k++) {
		const struct pprof_label *label = &model->labels[sample->labels + k];

		n += (size_t)snprintf(out + n, room - n, "%s%s=%s", k ? "," : " ",
		                      rpcprof_pprof_text(model, label->key),
		                      rpcprof_pprof_text(model, label->str));
	}
	snprintf(out + n, room - n, " %ld %ld %ld\n", values[0], values[1], values[2]);
}

static inline void say(struct said *said, const uint8_t *bytes, size_t length)
{
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;
	uint8_t *plain = NULL;
	size_t plain_length;

	cr_assert_eq(rpcprof_pprof_gunzip(bytes, length, 1 << 26, &plain, &plain_length, &error), 0);
	cr_assert_eq(rpcprof_pprof_decode(plain, plain_length, 0, &model, &error), 0);
	said->calls = said->stages = said->wall_ns = 0;
	said->stacks[0] = said->comments[0] = '\0';
	cr_assert_eq(model->types_count, 3);
	for (size_t i = 0; i < model->samples_count; i++) {
		const int64_t *values = rpcprof_pprof_values(model, i);

		said->calls += (uint64_t)values[0];
		said->stages += (uint64_t)values[1];
		said->wall_ns += (uint64_t)values[2];
		say_stack(said, model, i);
	}
	for (size_t i = 0; i < model->comments_count; i++) {
		strcat(said->comments, rpcprof_pprof_text(model, model->comments[i]));
		strcat(said->comments, "\n");
	}
	said->begin_ns = model->time_ns;
	said->end_ns = model->time_ns + model->duration_ns;
	said->all_calls += said->calls;
	said->all_wall_ns += said->wall_ns;
	said->windows++;
	rpcprof_pprof_close(model);
	free(plain);
}

static inline void on_window(void *arg, const struct rpcprof_window_profile *window)
{
	struct said *said = arg;

	say(said, window->bytes, window->length);
	cr_assert_eq(window->begin_ns, said->begin_ns);
	cr_assert_eq(window->end_ns, said->end_ns);
	said->unaggregated += window->unaggregated;
}

/* An exporter without its thread. */

static struct rpcprof_exporter stepped;
static struct said said;

static inline void open_stepped(struct rpcprof_exporter_config config)
{
	struct rpcprof_exporter_config full;

	config.size = sizeof(config);
	config.on_window = on_window;
	config.on_window_arg = &said;
	cr_assert_eq(rpcprof_exporter_complete(&full, &config), 0);
	cr_assert_eq(rpcprof_exporter_open(&stepped, &full), 0);
}

static inline void call(const char *method, int64_t ns)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	monotonic += ns;
	utc += ns;
	rpcprof_stat_end(stat);
}

/* A directory of the test's own. */

static char directory[64];

static inline void make_directory(void)
{
	strcpy(directory, "/tmp/rpcprof-exporter-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static inline void put_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

static inline int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names in the directory, sorted, each with a newline. */
static inline const char *names(void)
{
	static char all[4096], each[64][128];
	DIR *dir = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	all[0] = '\0';
	while (dir != NULL && (entry = readdir(dir)) != NULL && count < 64)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			snprintf(each[count++], sizeof(each[0]), "%.127s", entry->d_name);
	if (dir != NULL)
		closedir(dir);
	qsort(each, count, sizeof(each[0]), by_text);
	for (size_t i = 0; i < count; i++) {
		strcat(all, each[i]);
		strcat(all, "\n");
	}
	return all;
}

static inline void remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

#endif
