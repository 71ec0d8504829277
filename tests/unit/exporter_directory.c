/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/exporter_harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static const char *expected(const char *format)
{
	static char text[256];

	snprintf(text, sizeof(text), format, (int)getpid());
	return text;
}

Test(exporter_directory, a_file_is_named_by_its_window)
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

Test(exporter_directory, windows_of_one_second_do_not_overwrite_each_other)
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

Test(exporter_directory, a_missing_directory_is_made)
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

Test(exporter_directory, old_profiles_go_and_nothing_else)
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

Test(exporter_directory, profiles_are_kept_to_a_size)
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

Test(exporter_directory, leftovers_of_dead_writers_go)
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

Test(exporter_directory, what_could_not_be_written_is_in_the_next_profile)
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

Test(exporter_directory, a_full_disk_leaves_no_part_of_a_file)
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

Test(exporter_directory, writing_to_a_full_device_says_so)
{
	int fd = open("/dev/full", O_WRONLY);

	cr_assert_geq(fd, 0);
	cr_assert_eq(rpcprof_write_all(fd, (const uint8_t *)"x", 1), -ENOSPC);
	close(fd);
}
