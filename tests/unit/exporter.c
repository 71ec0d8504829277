/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
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

static uint64_t fake_ticks(void)
{
	return (uint64_t)monotonic;
}

static int64_t fake_monotonic(void)
{
	return monotonic;
}

static int64_t fake_utc(void)
{
	return utc;
}

static void pass(int64_t ns)
{
	monotonic += ns;
	utc += ns;
}

static void init_fake(uint32_t capacity)
{
	static const struct rpcprof_clock_source source = {fake_ticks, fake_utc, fake_monotonic, 0};
	struct rpcprof_config config = {.size = sizeof(config), .capacity = capacity};

	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static void init_real(void)
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

static void say_stack(struct said *said, const struct rpcprof_pprof *model, size_t i)
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

static void say(struct said *said, const uint8_t *bytes, size_t length)
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

static void on_window(void *arg, const struct rpcprof_window_profile *window)
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

static void open_stepped(struct rpcprof_exporter_config config)
{
	struct rpcprof_exporter_config full;

	config.size = sizeof(config);
	config.on_window = on_window;
	config.on_window_arg = &said;
	cr_assert_eq(rpcprof_exporter_complete(&full, &config), 0);
	cr_assert_eq(rpcprof_exporter_open(&stepped, &full), 0);
}

static void call(const char *method, int64_t ns)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	monotonic += ns;
	utc += ns;
	rpcprof_stat_end(stat);
}

Test(exporter, a_window_is_a_multiple_of_the_interval)
{
	init_fake(0);
	pass(3 * S + 5);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 100);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 0);
	pass(7 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.begin_ns, (START_S + 3) * S + 5);
	cr_assert_eq(said.end_ns, (START_S + 10) * S);
	call("/a/B", 100);
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.begin_ns, (START_S + 10) * S);
	cr_assert_eq(said.end_ns, (START_S + 20) * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, samples_have_their_stack_values_and_side)
{
	struct rpcprof_stat stat;

	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/p.S/M", 6));
	pass(5);
	rpcprof_lap(stat, RPCPROF_TAG("/decode"));
	pass(7);
	rpcprof_stat_end(stat);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_str_eq(said.stacks, "server;/p.S/M side=server 1 0 5\n"
	                              "server;/p.S/M;/decode side=server 0 1 7\n");
	cr_assert_not_null(strstr(said.comments, "unaggregated: 0\n"), "%s", said.comments);
	cr_assert_not_null(strstr(said.comments, "window: 2026-11-21T15:43:10.000Z"), "%s",
	                   said.comments);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, labels_are_those_asked_for)
{
	struct rpcprof_stat stat;

	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.label_status = 1, .label_method = 1,
	                                              .label_keys = {"tenant"}});
	stat = rpcprof_stat_begin(RPCPROF_TAG_CLIENT);
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/p.S/M", 6));
	rpcprof_stat_set_status(stat, 4);
	rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "other", 5),
	                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, "no", 2));
	rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "tenant", 6),
	                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, "acme", 4));
	pass(9);
	rpcprof_stat_end(stat);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_str_eq(said.stacks,
	                 "client;/p.S/M side=client,rpc_response_status_code=DEADLINE_EXCEEDED,"
	                 "rpc_method=p.S/M,tenant=acme 1 0 9\n");
	rpcprof_exporter_close(&stepped);
}

Test(exporter, a_stream_of_a_minute_is_ten_seconds_in_each_window)
{
	struct rpcprof_stat stat;

	init_fake(0);
	pass(5 * S);
	open_stepped((struct rpcprof_exporter_config){0});
	pass(5 * S);
	rpcprof_exporter_step(&stepped, false); /* an empty window: 15:43:20 begins the next */
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_lap(stat, RPCPROF_TAG("/messages"));
	for (int i = 1; i <= 6; i++) {
		for (int64_t k = 0; k < 9; k++) {
			pass(1 * S);
			rpcprof_exporter_step(&stepped, false);
			cr_assert_eq(said.windows, i - 1);
		}
		pass(1 * S + 1234567); /* woken a little late */
		if (i == 6) {
			pass(-1234567);
			rpcprof_stat_end(stat);
		}
		rpcprof_exporter_step(&stepped, false);
		if (i < 6)
			pass(-1234567);
		cr_assert_eq(said.windows, i);
		cr_assert_eq(said.wall_ns, 10 * S, "window %d: %lu", i, said.wall_ns);
		cr_assert_eq(said.calls, i == 6);
	}
	cr_assert_eq(said.all_wall_ns, 60 * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, an_empty_window_is_not_delivered)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 0);
	cr_assert_eq(stepped.stats.windows, 1);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, a_late_window_keeps_its_true_bounds)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 100);
	pass(37 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.begin_ns, START_S * S);
	cr_assert_eq(said.end_ns, (START_S + 30) * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, a_step_of_the_wall_clock_cuts_the_window)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 0);
	pass(4 * S);
	rpcprof_exporter_step(&stepped, false);
	utc -= 3600 * S;
	pass(1 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.begin_ns, START_S * S);
	cr_assert_eq(said.end_ns, (START_S + 5) * S, "its length is the monotonic clock's");
	call("/a/B", 0);
	pass(5 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 2);
	cr_assert_eq(said.begin_ns, (START_S - 3600 + 5) * S);
	cr_assert_eq(said.end_ns, (START_S - 3600 + 10) * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, a_slow_drift_of_the_wall_clock_is_no_step)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.interval_s = 3600});
	for (int i = 0; i < 100; i++) {
		pass(1 * S);
		utc += S / 20;
		rpcprof_exporter_step(&stepped, false);
	}
	cr_assert_eq(stepped.stats.windows, 0);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, collection_is_paced_by_the_ring)
{
	struct rpcprof_pace pace;

	rpcprof_pace_open(&pace, 16384, 0);
	/* 4096 calls in 10 ms: so in 10 ms again. */
	cr_assert_eq(rpcprof_pace_next(&pace, 4096, 10000000), 10000000);
	cr_assert_eq(rpcprof_pace_next(&pace, 40960, 20000000), 1000000);
	cr_assert_eq(rpcprof_pace_next(&pace, 1u << 30, 30000000), 1000000, "1 ms at least");
	/* Idle: what 250 000 calls a second need for three quarters. */
	cr_assert_eq(rpcprof_pace_next(&pace, 0, 40000000), 49152000);
	rpcprof_pace_open(&pace, 1u << 24, 0);
	cr_assert_eq(rpcprof_pace_next(&pace, 0, S), S, "1 s at most");
	rpcprof_pace_open(&pace, 16, 0);
	cr_assert_eq(rpcprof_pace_next(&pace, 0, S), 1000000);
}

static int count_view(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(int *)arg;
	return 0;
}

Test(exporter, what_was_collected_stays_in_the_dump)
{
	int shown = 0;

	init_fake(100);
	open_stepped((struct rpcprof_exporter_config){0});
	for (int i = 0; i < 110; i++) {
		call("/a/B", 10);
		if (i % 7 == 0)
			rpcprof_exporter_step(&stepped, false);
	}
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(rpcprof_snapshot(NULL, count_view, &shown), 100);
	cr_assert_eq(shown, 100);
	cr_assert_eq(said.all_calls, 110);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, calls_displaced_uncollected_are_counted)
{
	init_fake(64);
	open_stepped((struct rpcprof_exporter_config){0});
	for (int i = 0; i < 10000; i++)
		call("/a/B", 10);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_geq(said.calls, 64);
	cr_assert_eq(said.calls + said.unaggregated, 10000);
	cr_assert_eq(rpcprof_collector_unaggregated(), said.unaggregated);
	rpcprof_exporter_close(&stepped);
}

/* Directories. */

static char directory[64];

static void make_directory(void)
{
	strcpy(directory, "/tmp/rpcprof-exporter-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
}

static void put_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The names in the directory, sorted, each with a newline. */
static const char *names(void)
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

static void remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

static const char *expected(const char *format)
{
	static char text[256];

	snprintf(text, sizeof(text), format, (int)getpid());
	return text;
}

Test(exporter, a_file_is_named_by_its_window)
{
	uint8_t *bytes = malloc(1 << 16);
	char path[256];
	FILE *file;
	size_t length;

	make_directory();
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = directory});
	call("/a/B", 10);
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_str_eq(names(), expected("rpc-20261121T154310Z-10s-%d.pb.gz\n"));
	snprintf(path, sizeof(path), "%s/%.100s", directory, names());
	path[strlen(path) - 1] = '\0';
	file = fopen(path, "r");
	length = fread(bytes, 1, 1 << 16, file);
	fclose(file);
	say(&said, bytes, length);
	cr_assert_eq(said.calls, 1);
	free(bytes);
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, windows_of_one_second_do_not_overwrite_each_other)
{
	make_directory();
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = directory});
	for (int i = 0; i < 3; i++) {
		call("/a/B", 0);
		rpcprof_exporter_step(&stepped, true);
	}
	cr_assert_eq(stepped.stats.files, 3);
	cr_assert_eq(strlen(names()), 2 * strlen("-1") + 3 * strlen(expected(
			"rpc-20261121T154310Z-0s-%d.pb.gz\n")), "%s", names());
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, a_missing_directory_is_made)
{
	char path[128];

	make_directory();
	snprintf(path, sizeof(path), "%s/profiles", directory);
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = path});
	call("/a/B", 0);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(stepped.stats.files, 1);
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, old_profiles_go_and_nothing_else)
{
	static const char *const others[] = {
		"notes.txt", "rpc-20260101T000000Z-10s-1.pb", "rpc-x-10s-1.pb.gz",
		"xrpc-20260101T000000Z-10s-1.pb.gz", "rpc-20260101T000000Z-10s-1.pb.gz.bak",
		"rpc-20260101T000000Z-10h-1.pb.gz", ".rpc-20260101T000000Z-10s-1.pb.gz.tmp"};
	const char *left;

	make_directory();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		put_file(others[i], "x");
	put_file("rpc-20260101T000000Z-10s-1.pb.gz", "x");
	put_file("rpc-20260101T000010Z-250ms-99.pb.gz", "x");
	put_file("rpc-20260101T000020Z-10s-1-3.pb.gz", "x");
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = directory, .keep_files = 2});
	call("/a/B", 0);
	rpcprof_exporter_step(&stepped, true);
	left = names();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_assert_not_null(strstr(left, others[i]), "%s is gone", others[i]);
	cr_assert_not_null(strstr(left, "T000020Z-10s-1-3"));
	cr_assert_null(strstr(left, "-250ms-"));
	cr_assert_null(strstr(left, "\nrpc-20260101T000000Z-10s-1.pb.gz\n"));
	cr_assert_eq(stepped.stats.pruned, 2);
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, profiles_are_kept_to_a_size)
{
	char text[4096];

	make_directory();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	put_file("rpc-20260101T000000Z-10s-1.pb.gz", text);
	put_file("rpc-20260101T000010Z-10s-1.pb.gz", text);
	put_file("rpc-20260101T000020Z-10s-1.pb.gz", text);
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = directory, .keep_bytes = 9500});
	call("/a/B", 0);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(stepped.stats.pruned, 1);
	cr_assert_null(strstr(names(), "T000000Z"));
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, leftovers_of_dead_writers_go)
{
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	char path[128];

	make_directory();
	put_file(".rpc-20260101T000000Z-10s-1.pb.gz.tmp", "x");
	snprintf(path, sizeof(path), "%s/.rpc-20260101T000000Z-10s-1.pb.gz.tmp", directory);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = directory});
	call("/a/B", 0);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_null(strstr(names(), ".tmp"));
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, what_could_not_be_written_is_in_the_next_profile)
{
	char path[128], command[256];

	make_directory();
	put_file("file", "");
	snprintf(path, sizeof(path), "%s/file/profiles", directory);
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = path});
	for (int i = 0; i < 3; i++) {
		call("/a/B", 100);
		pass(10 * S - 100);
		rpcprof_exporter_step(&stepped, false);
	}
	cr_assert_eq(stepped.stats.write_errors, 3);
	cr_assert_eq(stepped.stats.last_errno, ENOTDIR);
	cr_assert_not_null(strstr(stepped.stats.last_error, path));
	cr_assert_eq(said.windows, 3, "the callback got each");
	cr_assert_eq(said.calls, 1);
	snprintf(command, sizeof(command), "cd %s && rm file && mkdir file", directory);
	cr_assert_eq(system(command), 0);
	call("/a/B", 100);
	pass(10 * S - 100);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(stepped.stats.files, 1);
	snprintf(directory + strlen(directory), 20, "/file/profiles");
	cr_assert_str_eq(names(), expected("rpc-20261121T154310Z-40s-%d.pb.gz\n"));
	cr_assert_eq(stepped.to_directory.consumer.delta[
			     stepped.to_directory.consumer.count - 1].calls, 4);
	rpcprof_exporter_close(&stepped);
	*strstr(directory, "/file") = '\0';
	remove_directory();
}

Test(exporter, a_full_disk_leaves_no_part_of_a_file)
{
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = RLIM_INFINITY};

	make_directory();
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.directory = directory});
	call("/a/B", 100);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	rpcprof_exporter_step(&stepped, true);
	limit.rlim_cur = RLIM_INFINITY;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(stepped.stats.last_errno, EFBIG);
	cr_assert_str_eq(names(), "");
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(stepped.stats.files, 1, "the next window is tried");
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter, writing_to_a_full_device_says_so)
{
	int fd = open("/dev/full", O_WRONLY);

	cr_assert_geq(fd, 0);
	cr_assert_eq(rpcprof_write_all(fd, (const uint8_t *)"x", 1), -ENOSPC);
	close(fd);
}

/* The thread. */

static struct rpcprof_exporter_config quiet(void)
{
	struct rpcprof_exporter_config config = {.size = sizeof(config), .interval_s = 3600,
	                                         .on_window = on_window, .on_window_arg = &said};
	return config;
}

static void real_call(void)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_end(stat);
}

Test(exporter, start_and_stop_may_be_repeated)
{
	struct rpcprof_exporter_config config = quiet();

	cr_assert_eq(rpcprof_exporter_start(&config), -ENODEV);
	init_real();
	cr_assert_eq(rpcprof_exporter_stop(), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(rpcprof_exporter_start(&config), 0);
		cr_assert_eq(rpcprof_exporter_start(&config), -EALREADY);
		real_call();
		cr_assert_eq(rpcprof_exporter_stop(), 0);
		cr_assert_eq(rpcprof_exporter_stop(), 0);
	}
	cr_assert_eq(said.all_calls, 3);
}

Test(exporter, start_turns_recording_on_unless_told_not_to)
{
	struct rpcprof_exporter_config config = quiet();

	cr_assert_eq(rpcprof_init(NULL), 0);
	config.keep_switch = 1;
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	cr_assert(!rpcprof_enabled());
	rpcprof_exporter_stop();
	config.keep_switch = 0;
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	cr_assert(rpcprof_enabled());
	rpcprof_exporter_stop();
}

Test(exporter, flush_delivers_what_has_ended)
{
	struct rpcprof_exporter_config config = quiet();

	init_real();
	cr_assert_eq(rpcprof_exporter_flush(1000), -ESRCH);
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	for (int i = 1; i <= 5; i++) {
		real_call();
		cr_assert_eq(rpcprof_exporter_flush(60000), 0);
		cr_assert_eq(said.all_calls, (uint64_t)i);
	}
	rpcprof_exporter_stop();
}

Test(exporter, flush_gives_the_error_of_the_disk)
{
	struct rpcprof_exporter_config config = quiet();
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	init_real();
	config.directory = "/dev/null/profiles";
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	cr_assert_eq(rpcprof_exporter_flush(60000), -ENOTDIR);
	cr_assert_eq(rpcprof_exporter_get_stats(&stats), 0);
	cr_assert_eq(stats.write_errors, 1);
	cr_assert_eq(stats.running, 1);
	cr_assert_eq(stats.calls, 1);
	rpcprof_exporter_stop();
}

static void slow_window(void *arg, const struct rpcprof_window_profile *window)
{
	uint32_t *go = arg;

	(void)window;
	while (!__atomic_load_n(go, __ATOMIC_ACQUIRE))
		sched_yield();
}

Test(exporter, flush_waits_no_longer_than_told)
{
	struct rpcprof_exporter_config config = quiet();
	uint32_t go = 0;

	init_real();
	config.on_window = slow_window;
	config.on_window_arg = &go;
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	cr_assert_eq(rpcprof_exporter_flush(1), -ETIMEDOUT);
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	cr_assert_eq(rpcprof_exporter_stop(), 0);
}

static int inside_flush, inside_stop;

static void reentrant_window(void *arg, const struct rpcprof_window_profile *window)
{
	(void)arg;
	(void)window;
	inside_flush = rpcprof_exporter_flush(1000);
	inside_stop = rpcprof_exporter_stop();
}

Test(exporter, on_window_cannot_wait_for_itself)
{
	struct rpcprof_exporter_config config = quiet();

	init_real();
	config.on_window = reentrant_window;
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	rpcprof_exporter_stop();
	cr_assert_eq(inside_flush, -EDEADLK);
	cr_assert_eq(inside_stop, -EDEADLK);
}

static char thread_name[32];
static sigset_t thread_signals;

static void look_at_thread(void *arg, const struct rpcprof_window_profile *window)
{
	(void)arg;
	(void)window;
	pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
	pthread_sigmask(SIG_SETMASK, NULL, &thread_signals);
}

Test(exporter, its_thread_has_a_name_and_takes_no_signal)
{
	struct rpcprof_exporter_config config = quiet();
	sigset_t mine;

	init_real();
	config.on_window = look_at_thread;
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	rpcprof_exporter_stop();
	cr_assert_str_eq(thread_name, "rpcprof-exp");
	for (int i = 1; i < 32; i++)
		if (i != SIGKILL && i != SIGSTOP)
			cr_assert_eq(sigismember(&thread_signals, i), 1, "signal %d", i);
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	cr_assert_eq(sigismember(&mine, SIGTERM), 0, "ours are as before");
}

Test(exporter, fini_stops_it)
{
	struct rpcprof_exporter_config config = quiet();
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	init_real();
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	rpcprof_fini();
	cr_assert_eq(said.all_calls, 1, "the last window is closed");
	cr_assert_eq(rpcprof_exporter_get_stats(&stats), 0);
	cr_assert_eq(stats.running, 0);
}

Test(exporter, bad_configurations_are_refused)
{
	struct rpcprof_exporter_config config = quiet();

	init_real();
	config.interval_s = 86401;
	cr_assert_eq(rpcprof_exporter_start(&config), -EINVAL);
	config = quiet();
	config.aggregate_bytes = 1000;
	cr_assert_eq(rpcprof_exporter_start(&config), -EINVAL);
	config = quiet();
	config.size = sizeof(config) + 8;
	cr_assert_eq(rpcprof_exporter_start(&config), -EINVAL);
	config = quiet();
	config.label_keys[0] = "side";
	cr_assert_eq(rpcprof_exporter_start(&config), -EINVAL);
	config.label_keys[0] = config.label_keys[1] = "tenant";
	cr_assert_eq(rpcprof_exporter_start(&config), -EINVAL);
	config = quiet();
	config.directory = "";
	cr_assert_eq(rpcprof_exporter_start(&config), -EINVAL);
}

static int in_child(void)
{
	struct rpcprof_exporter_config config = quiet();
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	memset(&said, 0, sizeof(said));
	if (rpcprof_exporter_get_stats(&stats) != 0 || stats.running || stats.calls)
		return 1;
	if (rpcprof_exporter_flush(1000) != -ESRCH || rpcprof_exporter_stop() != 0)
		return 2;
	if (rpcprof_exporter_start(&config) != 0)
		return 3;
	real_call();
	if (rpcprof_exporter_flush(60000) != 0 || said.all_calls != 1)
		return 4;
	return rpcprof_exporter_stop() == 0 ? 0 : 5;
}

Test(exporter, a_forked_child_has_none_and_may_start_its_own)
{
	struct rpcprof_exporter_config config = quiet();
	int status;
	pid_t pid;

#ifdef RPCPROF_TSAN_
	return; /* TSan allows no thread in the child of a process of several */
#endif
	init_real();
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	cr_assert_eq(rpcprof_exporter_flush(60000), 0);
	real_call();
	pid = fork();
	if (pid == 0)
		_exit(in_child());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %x", status);
	real_call();
	rpcprof_exporter_stop();
	cr_assert_eq(said.all_calls, 3, "the parent's goes on");
}

Test(exporter, it_runs_on_through_a_full_tmpfs)
{
	struct rpcprof_exporter_config config = quiet();
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};
	char filler[128];

	make_directory();
	if (mount("tmpfs", directory, "tmpfs", 0, "size=8k") != 0) {
		remove_directory();
		return; /* only root may; a_full_disk_leaves_no_part_of_a_file is for all */
	}
	init_real();
	config.directory = directory;
	put_file("filler", "x");
	snprintf(filler, sizeof(filler), "%s/filler", directory);
	cr_assert_eq(truncate(filler, 0), 0);
	for (int fd = open(filler, O_WRONLY | O_APPEND), full = 0; !full; close(full ? fd : -1))
		full = rpcprof_write_all(fd, (const uint8_t *)"0123456789abcdef", 16) != 0;
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	real_call();
	cr_assert_eq(rpcprof_exporter_flush(60000), -ENOSPC);
	cr_assert_str_eq(names(), "filler\n");
	cr_assert_eq(unlink(filler), 0);
	real_call();
	cr_assert_eq(rpcprof_exporter_flush(60000), 0);
	cr_assert_eq(rpcprof_exporter_get_stats(&stats), 0);
	cr_assert_eq(stats.files, 1);
	rpcprof_exporter_stop();
	cr_assert_eq(umount(directory), 0);
	remove_directory();
}

/* Profiles on request. */

static uint64_t encode(void)
{
	uint8_t *bytes = NULL;
	size_t length;
	int error = rpcprof_profile_encode(&bytes, &length);

	if (error == -ENODATA)
		return 0;
	cr_assert_eq(error, 0);
	say(&said, bytes, length);
	free(bytes);
	return said.calls;
}

Test(exporter, a_profile_has_what_came_since_the_last)
{
	uint8_t *bytes;
	size_t length;

	cr_assert_eq(rpcprof_profile_encode(&bytes, &length), -ENODEV);
	init_fake(0);
	pass(10 * S);
	call("/a/B", 1 * S);
	call("/a/B", 1 * S);
	cr_assert_eq(encode(), 2);
	cr_assert_eq(said.begin_ns, (START_S + 10) * S, "from the first call on");
	cr_assert_eq(said.end_ns, (START_S + 12) * S);
	cr_assert_eq(rpcprof_profile_encode(&bytes, &length), -ENODATA);
	pass(3 * S);
	call("/a/B", 1 * S);
	cr_assert_eq(encode(), 1);
	cr_assert_eq(said.begin_ns, (START_S + 12) * S);
	cr_assert_eq(said.end_ns, (START_S + 16) * S);
}

Test(exporter, a_profile_has_the_parts_of_calls_in_flight)
{
	struct rpcprof_stat stat;

	init_fake(0);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	pass(5 * S);
	cr_assert_eq(encode(), 0);
	cr_assert_eq(said.wall_ns, 5 * S);
	pass(2 * S);
	rpcprof_stat_end(stat);
	cr_assert_eq(encode(), 1);
	cr_assert_eq(said.wall_ns, 2 * S);
}

Test(exporter, a_first_profile_counts_what_was_displaced_before_it)
{
	uint64_t calls;
	char line[64];

	init_fake(64);
	for (int i = 0; i < 1000; i++)
		call("/a/B", 10);
	calls = encode();
	cr_assert_geq(calls, 64);
	snprintf(line, sizeof(line), "unaggregated: %lu\n", 1000 - calls);
	cr_assert_not_null(strstr(said.comments, line), "%lu in\n%s", calls, said.comments);
}

Test(exporter, a_profile_does_not_disturb_the_exporter)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 10);
	cr_assert_eq(encode(), 1);
	memset(&said, 0, sizeof(said));
	call("/a/B", 10);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(said.calls, 2);
	cr_assert_eq(encode(), 1);
	rpcprof_exporter_close(&stepped);
}

Test(exporter, a_profile_is_written_whole_or_not_at_all)
{
	char path[128];
	struct stat status;

	make_directory();
	init_fake(0);
	call("/a/B", 10);
	cr_assert_eq(rpcprof_profile_write("/dev/null/x.pb.gz"), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/rpc.pb.gz", directory);
	cr_assert_eq(rpcprof_profile_write(path), 0, "what failed is in the next");
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_str_eq(names(), "rpc.pb.gz\n");
	cr_assert_eq(rpcprof_profile_write(path), -ENODATA);
	remove_directory();
}

static struct rpcprof_latency latencies[8];
static size_t latency_count;

static int keep_latency(void *arg, const struct rpcprof_latency *latency)
{
	(void)arg;
	latencies[latency_count++] = *latency;
	return 0;
}

Test(exporter, latencies_are_those_of_all_calls)
{
	init_fake(0);
	cr_assert_eq(rpcprof_latency_walk(keep_latency, NULL), 0);
	for (int i = 1; i <= 100; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a/B", 4));
		pass(500);
		rpcprof_lap(stat, RPCPROF_TAG("/handler"));
		pass(i * 1000);
		rpcprof_stat_end(stat);
		encode();
	}
	cr_assert_eq(rpcprof_latency_walk(keep_latency, NULL), 2);
	cr_assert_str_eq(latencies[0].side, "server");
	cr_assert_str_eq(latencies[0].method, "/a/B");
	cr_assert_str_eq(latencies[0].stage, "");
	cr_assert_eq(latencies[0].count, 100);
	cr_assert_eq(latencies[0].mean_ns, 51000);
	cr_assert_eq(latencies[0].max_ns, 100500);
	cr_assert_str_eq(latencies[1].stage, "/handler");
	cr_assert_eq(latencies[1].depth, 1);
	cr_assert(latencies[1].p50_ns > 49500 && latencies[1].p50_ns < 50500);
	cr_assert(latencies[1].p99_ns > 98010 && latencies[1].p99_ns < 99990);
}

/* Copies what the log says. */
static char logged[512];

static void keep_log(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", message);
}

Test(exporter, too_many_series_are_named_by_their_label)
{
	struct rpcprof_config config = {.size = sizeof(config), .log = keep_log};

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	open_stepped((struct rpcprof_exporter_config){.label_status = 1,
	                                              .label_keys = {"tenant"}});
	for (int i = 0; i < 40; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		char value[16];

		snprintf(value, sizeof(value), "t%d", i);
		rpcprof_stat_set_status(stat, i % 3);
		rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "tenant", 6),
		                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, value, (size_t)-1));
		rpcprof_stat_end(stat);
	}
	rpcprof_exporter_step(&stepped, true);
	cr_assert_str_eq(logged,
	                 "profiles have 120 series of labels, most of them by the label tenant");
	rpcprof_exporter_close(&stepped);
}
