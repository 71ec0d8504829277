/* SPDX-License-Identifier: Apache-2.0 */
/* What forked children ask of the parent's exporter, and what they are told. */
#include "tests/unit/channel_harness.h"

#include "export/channel_internal.h"

Test(channel, a_childs_flush_closes_the_parents_window)
{
	open_exporter();
	call("/m", 10);
	call("/m", 10);
	cr_assert_eq(step_until_end(run_child(flush)), 0);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.all_calls, 2);
	cr_assert_eq(run_count(), 1);
	rpcprof_exporter_close(&stepped);
}

static int flush_with_calls(void)
{
	call("/of.child", 10);
	return flush();
}

Test(channel, a_childs_calls_are_not_in_it)
{
	open_exporter();
	call("/m", 10);
	cr_assert_eq(step_until_end(run_child(flush_with_calls)), 0);
	cr_assert_str_eq(said.stacks, "server;/m side=server 1 0 10\n");
	rpcprof_exporter_close(&stepped);
}

Test(channel, a_child_is_told_what_the_disk_said)
{
	init_fake(64);
	rpcprof_exporter_watch_forks();
	open_stepped((struct rpcprof_exporter_config){.directory = "/dev/null/profiles"});
	call("/m", 10);
	cr_assert_eq(step_until_end(run_child(flush)), ENOTDIR);
	rpcprof_exporter_close(&stepped);
}

/* Labels. */

static char longest_name[RPCPROF_CHANNEL_NAME_MAX + 2];
static char longest_value[RPCPROF_CHANNEL_VALUE_MAX + 2];

static int change_labels(void)
{
	memset(longest_name, 'n', RPCPROF_CHANNEL_NAME_MAX);
	memset(longest_value, 'v', RPCPROF_CHANNEL_VALUE_MAX);
	if (rpcprof_parent_set_label("region", "north", LONG_MS) != 0 ||
	    rpcprof_parent_set_label("region", NULL, LONG_MS) != 0 ||
	    rpcprof_parent_set_label("empty", "", LONG_MS) != 0)
		return 1;
	if (rpcprof_parent_set_label("bad", "x", LONG_MS) != -EINVAL)
		return 2;
	if (rpcprof_parent_set_label(longest_name, longest_value, LONG_MS) != 0)
		return 3;
	longest_name[RPCPROF_CHANNEL_NAME_MAX] = 'n';
	if (rpcprof_parent_set_label(longest_name, "", LONG_MS) != -EINVAL)
		return 4;
	longest_value[RPCPROF_CHANNEL_VALUE_MAX] = 'v';
	return rpcprof_parent_set_label("n", longest_value, LONG_MS) == -EINVAL ? 0 : 5;
}

Test(channel, a_childs_labels_arrive)
{
	static const char expected[] = "region=north\nregion=(null)\nempty=\nbad=x\nnnn";

	open_exporter();
	rpcprof_channel_labels_set(note_label);
	cr_assert_eq(step_until_end(run_child(change_labels)), 0);
	cr_assert_eq(strncmp(labels, expected, strlen(expected)), 0, "%s", labels);
	cr_assert_eq(strlen(strstr(labels, "=vvv")), 1 + RPCPROF_CHANNEL_VALUE_MAX + 1);
	cr_assert_eq(run_count(), 5);
	cr_assert_eq(said.windows, 0, "labels close no window");
	rpcprof_exporter_close(&stepped);
}

static int change_one_label(void)
{
	return -rpcprof_parent_set_label("region", "north", LONG_MS);
}

Test(channel, without_pushes_no_label_is_set)
{
	open_exporter();
	cr_assert_eq(step_until_end(run_child(change_one_label)), ENOENT);
	rpcprof_exporter_close(&stepped);
}

/* Generations. */

static int have_child_flush(void)
{
	return end_of(run_child(flush));
}

Test(channel, a_grandchild_asks_the_nearest_who_runs_an_exporter)
{
	open_exporter();
	call("/m", 10);
	cr_assert_eq(step_until_end(run_child(have_child_flush)), 0);
	cr_assert_eq(said.all_calls, 1);
	rpcprof_exporter_close(&stepped);
}

static int files_of_child;

/* Of the child's three it keeps the one that it asks by. */
static int flush_with_few_files(void)
{
	return open_files() == files_of_child - 2 ? flush() : 100;
}

/* Its exporter is stepped by nobody else; the parent is asked nothing. */
static int step_for_grandchild(void)
{
	int result;

	rpcprof_exporter_forget(&stepped); /* as the handler does for one with a thread */
	memset(&said, 0, sizeof(said));
	open_stepped(quiet);
	call("/of.child", 10);
	files_of_child = open_files();
	result = step_until_end(run_child(flush_with_few_files));
	if (result == 0 && (said.all_calls != 1 || run_count() != 1))
		result = 1;
	if (result == 0 && rpcprof_parent_flush(0) != -ETIMEDOUT)
		result = 2; /* its own parent is another, and does not look now */
	rpcprof_exporter_close(&stepped);
	return result;
}

Test(channel, a_grandchild_of_a_child_with_an_exporter_asks_that_one)
{
	open_exporter();
	cr_assert_eq(end_of(run_child(step_for_grandchild)), 0);
	cr_assert_eq(said.windows, 0);
	rpcprof_exporter_close(&stepped);
}

Test(channel, who_has_no_parent_is_told_so)
{
	init_fake(64);
	rpcprof_exporter_watch_forks();
	cr_assert_eq(rpcprof_parent_flush(LONG_MS), -ESRCH);
	cr_assert_eq(end_of(run_child(flush)), ESRCH, "no exporter ran");
	open_stepped(quiet);
	cr_assert_eq(rpcprof_parent_flush(LONG_MS), -ESRCH, "it is not its own");
	rpcprof_exporter_close(&stepped);
	cr_assert_eq(end_of(run_child(flush)), ESRCH, "it had ended");
}

static int look_at_flags(void)
{
	return fcntl(rpcprof_channel_parent(), F_GETFD) == FD_CLOEXEC ? 0 : 1;
}

Test(channel, it_is_not_inherited_over_exec)
{
	open_exporter();
	cr_assert_eq(end_of(run_child(look_at_flags)), 0);
	rpcprof_exporter_close(&stepped);
}

/* The end. */

static int gate[2];

static int flush_behind_gate(void)
{
	char byte;

	close(gate[1]);
	signal(SIGPIPE, SIG_DFL); /* whatever those who run tests do */
	return read(gate[0], &byte, 1) == 0 ? flush() : 100;
}

Test(channel, who_asks_an_exporter_that_has_ended_is_told_so)
{
	pid_t child;

	open_exporter();
	cr_assert_eq(pipe(gate), 0);
	child = run_child(flush_behind_gate);
	rpcprof_exporter_close(&stepped);
	close(gate[1]);
	cr_assert_eq(end_of(child), EPIPE);
}

/* A byte in `gate` when the request is in the socket. */
static int flush_and_say_so(void)
{
	int error = -rpcprof_parent_flush(0);

	if (write(gate[1], "x", 1) != 1 || error != ETIMEDOUT)
		return 100;
	return flush();
}

Test(channel, who_waits_for_one_that_ends_is_told_so)
{
	char byte;
	pid_t child;

	open_exporter();
	cr_assert_eq(pipe(gate), 0);
	child = run_child(flush_and_say_so);
	cr_assert_eq(read(gate[0], &byte, 1), 1);
	usleep(20000); /* most times the next request is there too by then */
	rpcprof_exporter_close(&stepped);
	cr_assert_eq(end_of(child), EPIPE);
}

Test(channel, a_child_waits_no_longer_than_told)
{
	open_exporter();
	call("/m", 10);
	cr_assert_eq(end_of(run_child(flush_in_vain)), 0);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.all_calls, 1, "it is run all the same");
	rpcprof_exporter_close(&stepped);
}

#define CHILDREN 20

Test(channel, twenty_children_at_once_are_all_answered)
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};
	pid_t children[CHILDREN];

	init_real();
	cr_assert_eq(rpcprof_exporter_start(&quiet), 0);
	for (int i = 0; i < CHILDREN; i++) {
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
		children[i] = run_child(flush);
	}
	for (int i = 0; i < CHILDREN; i++)
		cr_assert_eq(end_of(children[i]), 0, "child %d", i);
	cr_assert_eq(rpcprof_exporter_get_stats(&stats), 0);
	cr_assert_eq(stats.requests, CHILDREN);
	cr_assert_eq(stats.requests_refused, 0);
	cr_assert(stats.windows <= CHILDREN);
	cr_assert_eq(said.all_calls, CHILDREN, "each call was before the last flush");
	cr_assert_eq(rpcprof_exporter_stop(), 0);
}

Test(channel, who_never_forked_has_no_look)
{
	open_exporter();
	cr_assert_eq(rpcprof_channel_wait(monotonic), INT64_MAX);
	cr_assert_eq(end_of(run_child(open_files)) > 0, 1);
	cr_assert_eq(rpcprof_channel_wait(monotonic), 0);
	rpcprof_exporter_close(&stepped);
}
