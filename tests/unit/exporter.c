/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/exporter_harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/include/quiet_fork.h"

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
	pid = quiet_fork();
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
