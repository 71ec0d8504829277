/* SPDX-License-Identifier: Apache-2.0 */
/* What a push leaves in its spool, and when and how it is sent from there. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "push/replay_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/push.h"
#include "tests/unit/push_sink.h"

#define S 1000000000ll

static char directory[] = "/tmp/rpcprof-spool-XXXXXX";

static int files_in_spool(char *last)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	int count = 0;

	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.') {
			snprintf(last, 512, "%s/%s", directory, entry->d_name);
			count++;
		}
	closedir(stream);
	return count;
}

static void remove_spool(void)
{
	char name[512];

	while (files_in_spool(name) > 0)
		unlink(name);
	rmdir(directory);
}

/* Leaves sessions in the spool, as a process does that ends while its server is down: `count`, the
 * i-th one's window i ns long and `apart_s` before the next one's. */
static void leave(const struct rpcprof_push_config *config, int count, int apart_s)
{
	struct rpcprof_push *push = open_push(config);

	sink.failures = INT32_MAX;
	sink.answer = RPCPROF_NOT_NOW;
	for (int i = 1; i <= count; i++)
		cr_assert_eq(send_small(push, i, now_ns() - (count - i) * apart_s * S), 0);
	cr_assert_eq(rpcprof_push_close(push, 1), -ETIMEDOUT);
	sink.failures = 0;
}

static void await_seen(int parts)
{
	for (;;) {
		pthread_mutex_lock(&sink.lock);
		bool all = sink.parts == parts;
		pthread_mutex_unlock(&sink.lock);
		if (all)
			return;
		usleep(1000);
	}
}

Test(push_spool, it_outlives_the_process_and_is_sent_newest_first, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

	config.spool = mkdtemp(directory);
	/* More than a minute apart they are not merged; soon too old, they are sent fast. */
	config.max_age_s = 138;
	leave(&config, 3, 62);
	cr_assert_eq(files_in_spool(name), 3);
	push = open_push(&config);
	await_seen(3);
	cr_assert_str_eq(sink.seen, "3 2 1 ");
	cr_assert_str_eq(sink.labels, "__name__=small service_name=test ");
	rpcprof_push_close(push, 60000);
	cr_assert_eq(files_in_spool(name), 0);
}

Test(push_spool, adjacent_windows_of_equal_labels_are_sent_as_one, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push_stats stats;
	struct rpcprof_push *push;
	char name[512];

	cr_assert_eq(rpcprof_init(NULL), 0);
	config.spool = mkdtemp(directory);
	leave(&config, 5, 0);
	config.application = "another";
	leave(&config, 3, 0);
	cr_assert_eq(files_in_spool(name), 8);
	push = open_push(&config);
	await_seen(2);
	cr_assert_eq(sink.total, 8);
	rpcprof_push_flush(push, 60000);
	while (stats_of(push).sent != 2)
		usleep(1000);
	stats = stats_of(push);
	cr_assert_eq(stats.unspooled, 8);
	cr_assert_eq(stats.merged, 6);
	cr_assert(metrics_have("\nrpcprof_push_unspooled_total{push=\"0\",url=\"the sink\"} 8\n"));
	cr_assert(metrics_have("\nrpcprof_push_merged_total{push=\"0\",url=\"the sink\"} 6\n"));
	rpcprof_push_close(push, 60000);
	cr_assert_eq(files_in_spool(name), 0);
}

Test(push_spool, merged_windows_are_no_more_than_servers_take, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	config.spool = mkdtemp(directory);
	config.profile_samples = 128;
	push = open_push(&config);
	sink.failures = INT32_MAX;
	sink.answer = RPCPROF_NOT_NOW;
	for (int i = 0; i < 4; i++)
		send_samples(push, 100, 0);
	cr_assert_eq(rpcprof_push_close(push, 1), -ETIMEDOUT);
	sink.failures = 0;
	push = open_push(&config);
	await_seen(4);
	cr_assert_eq(sink.total, 4 * 100 * 101 / 2);
	rpcprof_push_close(push, 60000);
}

Test(push_spool, what_comes_back_merged_is_kept_merged, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

	config.spool = mkdtemp(directory);
	leave(&config, 5, 0);
	sink.failures = INT32_MAX;
	push = open_push(&config);
	while (stats_of(push).retried == 0)
		usleep(1000);
	cr_assert_eq(rpcprof_push_close(push, 60000), 0);
	cr_assert_eq(files_in_spool(name), 1);
	sink.failures = 0;
	push = open_push(&config);
	await_seen(1);
	cr_assert_eq(sink.total, 5);
	rpcprof_push_close(push, 60000);
}

/* An outage of `outage` that ended at 0. */
static void expect_between(int64_t outage, int64_t begin, int64_t end, int64_t from, int64_t to)
{
	const struct rpcprof_replay_window window = {
		.begin_ns = begin, .end_ns = end, .oldest_ns = -outage, .max_age_ns = 1000};
	int64_t from_ns, to_ns;

	rpcprof_replay_between(&window, &from_ns, &to_ns);
	cr_assert_eq(from_ns, from, "from %ld, not %ld", (long)from_ns, (long)from);
	cr_assert_eq(to_ns, to, "to %ld, not %ld", (long)to_ns, (long)to);
}

Test(push_spool, an_outage_is_replayed_backwards_over_as_long_as_it_lasted)
{
	expect_between(400, -400, 0, 0, 400);
	expect_between(400, -100, -50, 50, 100);
	expect_between(400, -400, -100, 100, 400);
}

Test(push_spool, what_would_get_too_old_is_replayed_faster)
{
	expect_between(600, -600, 0, 0, 300);
	expect_between(600, -600, -300, 150, 300);
	expect_between(900, -900, 0, 0, 0);
	expect_between(5000, -5000, 0, 0, 0);
}

Test(push_spool, a_clock_that_was_set_holds_nothing_up)
{
	expect_between(400, 3600, 3610, 0, 0);
	expect_between(-3600, 3600, 3610, 0, 0);
}

Test(push_spool, damaged_spool_files_are_skipped, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];
	FILE *file;

	config.spool = mkdtemp(directory);
	leave(&config, 2, 0);
	cr_assert_eq(files_in_spool(name), 2);
	file = fopen(name, "r+");
	fseek(file, -1, SEEK_END);
	fputc('?', file);
	fclose(file);
	push = open_push(&config);
	await_seen(1);
	while (stats_of(push).spool_damaged != 1)
		usleep(1000);
	cr_assert_eq(files_in_spool(name), 0);
	rpcprof_push_close(push, 60000);
}

Test(push_spool, spool_keeps_to_its_size, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	char name[512];

	config.spool = mkdtemp(directory);
	config.spool_bytes = 1024;
	leave(&config, 20, 0);
	cr_assert_gt(files_in_spool(name), 0);
	cr_assert_lt(files_in_spool(name), 6);
}

Test(push_spool, older_half_of_a_queue_goes_to_the_spool_in_an_outage, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

	cr_assert_eq(rpcprof_init(NULL), 0);
	config.spool = mkdtemp(directory);
	config.queue_sessions = 8;
	push = open_push(&config);
	sink.failures = INT32_MAX;
	sink.answer = RPCPROF_NOT_NOW;
	for (int i = 1; i <= 8; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 1), -ETIMEDOUT);
	while (stats_of(push).spooled < 4)
		usleep(1000);
	cr_assert_eq(files_in_spool(name), 4);
	cr_assert(metrics_have("\nrpcprof_push_spooled_total{push=\"0\",url=\"the sink\"} 4\n"));
	cr_assert(metrics_have("\nrpcprof_push_spool_files{push=\"0\",url=\"the sink\"} 4\n"));
	cr_assert(!metrics_have("\nrpcprof_push_spool_bytes{push=\"0\",url=\"the sink\"} 0\n"));
	cr_assert_eq(stats_of(push).dropped_full, 0);
	rpcprof_push_close(push, 1);
	cr_assert_eq(files_in_spool(name), 8);
}

Test(push_spool, spool_that_cannot_be_written_costs_one_profile_not_the_queue)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	config.spool = "/dev/null/spool";
	config.queue_sessions = 8;
	push = open_push(&config);
	sink.failures = INT32_MAX;
	sink.answer = RPCPROF_NOT_NOW;
	for (int i = 1; i <= 8; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 1), -ETIMEDOUT);
	while (stats_of(push).spool_errors == 0 || stats_of(push).retried < 10)
		usleep(1000);
	cr_assert_eq(stats_of(push).dropped_full, 1);
	cr_assert_eq(stats_of(push).queued, 7);
	rpcprof_push_close(push, 1);
}

/* What the library's own calls get of a disk that is full, or mounted read-only. */
static int disk_error;

ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
	if (disk_error == 0)
		return __real_write(fd, bytes, length);
	errno = disk_error;
	return -1;
}

static void expect_said(int error, const char *said)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push_stats stats;
	struct rpcprof_push *push;
	char name[512];

	config.spool = mkdtemp(directory);
	config.queue_sessions = 8;
	sink.failures = INT32_MAX;
	sink.answer = RPCPROF_NOT_NOW;
	sink.retry_after_s = 3600; /* one send, so that the spool has the last word */
	set_hold(true);
	disk_error = error;
	push = open_push(&config);
	for (int i = 1; i <= 8; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
	set_hold(false);
	while (stats_of(push).spool_errors == 0)
		usleep(1000);
	stats = stats_of(push);
	cr_assert_eq(stats.dropped_full, 1);
	cr_assert_eq(stats.queued, 7);
	cr_assert_str_eq(stats.last_error, said);
	disk_error = 0;
	rpcprof_push_close(push, 1);
	cr_assert_eq(files_in_spool(name), 7);
}

Test(push_spool, full_disk_costs_one_profile_and_is_said, .fini = remove_spool)
{
	expect_said(ENOSPC, "not written to the spool: No space left on device");
}

Test(push_spool, read_only_disk_costs_one_profile_and_is_said, .fini = remove_spool)
{
	expect_said(EROFS, "not written to the spool: Read-only file system");
}

Test(push_spool, files_of_other_versions_are_left_alone, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512], newer[600];

	config.spool = mkdtemp(directory);
	leave(&config, 1, 0);
	cr_assert_eq(files_in_spool(name), 1);
	snprintf(newer, sizeof(newer), "%s/push2-what-ever.session", directory);
	cr_assert_eq(rename(name, newer), 0);
	push = open_push(&config);
	cr_assert_eq(send_small(push, 7, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	rpcprof_push_close(push, 60000);
	cr_assert_str_eq(sink.seen, "7 ");
	cr_assert_eq(files_in_spool(name), 1);
	cr_assert_str_eq(name, newer);
}

Test(push_spool, sessions_of_other_targets_are_left_in_the_spool, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

	config.spool = mkdtemp(directory);
	leave(&config, 1, 0);
	config.protocol = RPCPROF_PUSH_INGEST;
	push = open_push(&config);
	cr_assert_eq(send_small(push, 7, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	rpcprof_push_close(push, 0);
	cr_assert_str_eq(sink.seen, "7 ");
	cr_assert_eq(files_in_spool(name), 1);
}
