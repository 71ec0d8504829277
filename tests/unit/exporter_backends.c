/* SPDX-License-Identifier: Apache-2.0 */
/* Backends: whose profiles they are, when they are asked, where what they hand over goes. */
#include <sys/wait.h>

#include "rpcprof/metrics.h"
#include "tests/include/quiet_fork.h"
#include "tests/unit/exporter_harness.h"

/* A backend that counts what it is asked, and hands over what it has. */
struct counter {
	int initialized, reports, shut_down;
	int initialize_error, report_error;
	int64_t begin_ns, end_ns;
	const char *has; /* bytes of the next profile; NULL: none */
	struct rpcprof_window_profile profile; /* all else of it */
	int given;
};

static int initialize(void *arg)
{
	struct counter *counter = arg;

	counter->initialized++;
	return counter->initialize_error;
}

static int report(void *arg, const struct rpcprof_report *report)
{
	struct counter *counter = arg;
	struct rpcprof_window_profile profile = counter->profile;

	counter->reports++;
	counter->begin_ns = report->begin_ns;
	counter->end_ns = report->end_ns;
	if (counter->has != NULL) {
		profile.bytes = (const uint8_t *)counter->has;
		profile.length = strlen(counter->has);
		counter->given = rpcprof_report_give(report, &profile);
		counter->has = NULL;
	}
	return counter->report_error;
}

static void shut_down(void *arg)
{
	((struct counter *)arg)->shut_down++;
}

static struct counter counters[2];
static const struct rpcprof_backend heap = {sizeof(heap), "heap",     &counters[0],
                                            initialize,   report, shut_down};
static const struct rpcprof_backend cpu = {sizeof(cpu), "cpu",  &counters[1],
                                           initialize,  report, shut_down};

/* What on_window got last, and how many of each name. */
static struct {
	int wall, others;
	char name[64], label[64], bytes[64];
	int64_t begin_ns, end_ns;
} got;

static void take(void *arg, const struct rpcprof_window_profile *window)
{
	(void)arg;
	if (strcmp(window->name, "wall") == 0) {
		got.wall++;
		return;
	}
	got.others++;
	got.begin_ns = window->begin_ns;
	got.end_ns = window->end_ns;
	snprintf(got.name, sizeof(got.name), "%s", window->name);
	snprintf(got.bytes, sizeof(got.bytes), "%.*s", (int)window->length,
	         (const char *)window->bytes);
	snprintf(got.label, sizeof(got.label), "%s",
	         window->label_count == 1 ? window->labels[0].value : "");
}

static int open_exporter(const char *path)
{
	struct rpcprof_exporter_config full, config = {
		.size = sizeof(config), .directory = path, .on_window = take};

	cr_assert_eq(rpcprof_exporter_complete(&full, &config), 0);
	return rpcprof_exporter_open(&stepped, &full);
}

static void end_window(void)
{
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
}

Test(exporter_backends, are_asked_at_each_windows_end)
{
	init_fake(0);
	cr_assert_eq(rpcprof_backend_add(&heap), 0);
	cr_assert_eq(open_exporter(NULL), 0);
	cr_assert_eq(counters[0].initialized, 1);
	cr_assert_eq(counters[0].reports, 0);
	end_window();
	cr_assert_eq(counters[0].reports, 1);
	cr_assert_eq(counters[0].begin_ns, START_S * S);
	cr_assert_eq(counters[0].end_ns, (START_S + 10) * S);
	cr_assert_eq(got.others, 0, "it had nothing");
	end_window();
	cr_assert_eq(counters[0].reports, 2);
	rpcprof_exporter_close(&stepped);
	cr_assert_eq(counters[0].shut_down, 1);
}

Test(exporter_backends, their_profiles_go_where_ours_go)
{
	static const struct rpcprof_label label = {"zone", "north"};
	char expected[256];

	init_fake(0);
	make_directory();
	rpcprof_backend_add(&heap);
	cr_assert_eq(open_exporter(directory), 0);
	counters[0].has = "profile";
	counters[0].profile.labels = &label;
	counters[0].profile.label_count = 1;
	call("/a/B", 5);
	end_window();
	cr_assert_eq(counters[0].given, 0);
	snprintf(expected, sizeof(expected),
	         "heap-20261121T154310Z-10s-%d.pb.gz\nrpc-20261121T154310Z-10s-%d.pb.gz\n",
	         getpid(), getpid());
	cr_assert_str_eq(names(), expected);
	cr_assert_eq(got.wall, 1);
	cr_assert_eq(got.others, 1);
	cr_assert_str_eq(got.name, "heap");
	cr_assert_str_eq(got.bytes, "profile");
	cr_assert_str_eq(got.label, "north");
	cr_assert_eq(got.begin_ns, START_S * S);
	cr_assert_eq(got.end_ns, (START_S + 10) * S);
	cr_assert_eq(stepped.stats.reports, 1);
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter_backends, a_profile_may_have_a_name_and_a_window_of_its_own)
{
	init_fake(0);
	rpcprof_backend_add(&heap);
	cr_assert_eq(open_exporter(NULL), 0);
	counters[0].has = "x";
	counters[0].profile = (struct rpcprof_window_profile){
		.begin_ns = 5, .end_ns = 7, .name = "allocs"};
	end_window();
	cr_assert_str_eq(got.name, "allocs");
	cr_assert_eq(got.begin_ns, 5);
	cr_assert_eq(got.end_ns, 7);
	counters[0].has = "x";
	counters[0].profile.name = "../allocs";
	end_window();
	cr_assert_eq(counters[0].given, -EINVAL);
	cr_assert_eq(got.others, 1);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_backends, an_error_of_one_is_no_others)
{
	init_fake(0);
	rpcprof_backend_add(&heap);
	rpcprof_backend_add(&cpu);
	cr_assert_eq(open_exporter(NULL), 0);
	counters[0].report_error = -EIO;
	counters[1].has = "x";
	call("/a/B", 5);
	end_window();
	cr_assert_eq(got.wall, 1);
	cr_assert_eq(got.others, 1);
	cr_assert_eq(stepped.stats.report_errors, 1);
	cr_assert_eq(stepped.stats.last_errno, EIO);
	cr_assert_not_null(strstr(stepped.stats.last_error, "heap"));
	cr_assert_eq(stepped.last_result, -EIO);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_backends, metrics_count_what_they_did)
{
	const struct rpcprof_exporter_config config = {.size = sizeof(config), .interval_s = 3600};
	size_t length;
	char *text;

	init_real();
	rpcprof_backend_add(&heap);
	cr_assert_eq(rpcprof_exporter_start(&config), 0);
	counters[0].has = "x";
	cr_assert_eq(rpcprof_exporter_flush(60000), 0);
	counters[0].report_error = -EIO;
	cr_assert_eq(rpcprof_exporter_flush(60000), -EIO);
	cr_assert_eq(rpcprof_metrics_text(NULL, &text, &length), 0);
	cr_assert_not_null(strstr(text, "\nrpcprof_exporter_windows_total 2\n"));
	cr_assert_not_null(strstr(text, "\nrpcprof_backend_reports_total 1\n"));
	cr_assert_not_null(strstr(text, "\nrpcprof_backend_errors_total 1\n"));
	free(text);
	rpcprof_exporter_stop();
}

Test(exporter_backends, one_that_does_not_start_lets_no_exporter_start)
{
	init_fake(0);
	rpcprof_backend_add(&heap);
	rpcprof_backend_add(&cpu);
	counters[1].initialize_error = -EBUSY;
	cr_assert_eq(open_exporter(NULL), -EBUSY);
	cr_assert_eq(counters[0].shut_down, 1, "it had begun");
	cr_assert_eq(counters[1].shut_down, 0, "it had not");
}

Test(exporter_backends, a_directory_that_fails_is_told)
{
	init_fake(0);
	rpcprof_backend_add(&heap);
	cr_assert_eq(open_exporter("/nowhere/at/all"), 0);
	counters[0].has = "x";
	end_window();
	cr_assert_eq(counters[0].given, -ENOENT);
	cr_assert_eq(got.others, 1);
	cr_assert_eq(stepped.stats.write_errors, 1);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_backends, each_kind_of_file_has_its_own_limit)
{
	init_fake(0);
	make_directory();
	rpcprof_backend_add(&heap);
	cr_assert_eq(open_exporter(directory), 0);
	stepped.directory.keep_files = 2;
	for (int i = 0; i < 5; i++) {
		counters[0].has = "x";
		call("/a/B", 5);
		end_window();
	}
	cr_assert_eq(stepped.stats.pruned, 6);
	cr_assert_not_null(strstr(names(), "heap-"));
	cr_assert_not_null(strstr(names(), "rpc-"));
	rpcprof_exporter_close(&stepped);
	remove_directory();
}

Test(exporter_backends, are_refused_when_they_make_no_sense)
{
	struct rpcprof_backend many[RPCPROF_BACKENDS_MAX], bad = heap;
	char letters[RPCPROF_BACKENDS_MAX][2];

	cr_assert_eq(rpcprof_backend_add(NULL), -EINVAL);
	bad.size = 1;
	cr_assert_eq(rpcprof_backend_add(&bad), -EINVAL);
	bad = heap;
	bad.report = NULL;
	cr_assert_eq(rpcprof_backend_add(&bad), -EINVAL);
	static const char *const wrong[] = {NULL, "", "rpc", "wall", "Heap", "1heap", "a/b", "a-b",
	                                    "a23456789012345678901234567890123"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		bad = heap;
		bad.name = wrong[i];
		cr_assert_eq(rpcprof_backend_add(&bad), -EINVAL, "%zu", i);
	}
	cr_assert_eq(rpcprof_backend_remove(&heap), -ENOENT);
	for (int i = 0; i < RPCPROF_BACKENDS_MAX; i++) {
		snprintf(letters[i], sizeof(letters[i]), "%c", 'a' + i);
		many[i] = heap;
		many[i].name = letters[i];
		cr_assert_eq(rpcprof_backend_add(&many[i]), 0);
		cr_assert_eq(rpcprof_backend_add(&many[i]), -EEXIST);
	}
	cr_assert_eq(rpcprof_backend_add(&heap), -ENOSPC);
	cr_assert_eq(rpcprof_backend_remove(&many[3]), 0);
	cr_assert_eq(rpcprof_backend_add(&heap), 0);
}

static int add_inside(void *arg, const struct rpcprof_report *report)
{
	(void)report;
	*(int *)arg = rpcprof_backend_add(&heap);
	return 0;
}

Test(exporter_backends, do_not_change_while_an_exporter_runs)
{
	int inside = 0;
	const struct rpcprof_backend asking = {.size = sizeof(asking), .name = "asking",
	                                       .arg = &inside, .report = add_inside};

	init_real();
	cr_assert_eq(rpcprof_backend_add(&asking), 0);
	cr_assert_eq(rpcprof_exporter_start(NULL), 0);
	cr_assert_eq(rpcprof_backend_add(&heap), -EBUSY);
	cr_assert_eq(rpcprof_backend_remove(&asking), -EBUSY);
	cr_assert_eq(rpcprof_exporter_flush(10000), 0);
	cr_assert_eq(rpcprof_exporter_stop(), 0);
	cr_assert_eq(inside, -EDEADLK);
	cr_assert_eq(rpcprof_backend_remove(&asking), 0);
}

Test(exporter_backends, a_forked_child_leaves_them_to_the_parent)
{
	int status;
	pid_t child;

	init_real();
	rpcprof_backend_add(&heap);
	cr_assert_eq(rpcprof_exporter_start(NULL), 0);
	child = quiet_fork();
	if (child == 0)
		_exit(counters[0].shut_down == 0 && open_exporter(NULL) == 0 &&
		      counters[0].initialized == 2 ? 0 : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(rpcprof_exporter_stop(), 0);
	cr_assert_eq(counters[0].shut_down, 1);
}

Test(exporter_backends, that_of_gperftools_needs_it)
{
	init_fake(0);
	cr_assert_eq(rpcprof_backend_add(rpcprof_backend_gperftools()), 0);
	cr_assert_eq(open_exporter(NULL), -ENOTSUP);
}
