/* SPDX-License-Identifier: Apache-2.0 */
/* The queue and its thread before a sink of the test's own. */
#include <criterion/criterion.h>

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "push/labels_internal.h"
#include "push/push_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/push.h"
#include "tests/include/quiet_fork.h"
#include "tests/unit/push_sink.h"

#if defined(__SANITIZE_ADDRESS__)
#define LOOKS_FOR_LEAKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOOKS_FOR_LEAKS
#endif
#endif
#ifdef LOOKS_FOR_LEAKS
#include <sanitizer/lsan_interface.h>
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc brings no header for it */
#endif

Test(push, what_is_given_arrives_in_order_with_its_labels)
{
	struct rpcprof_label labels[] = {{"zone", "b"}, {"version", "1"}};
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	config.labels = labels;
	config.label_count = 2;
	push = open_push(&config);
	cr_assert_eq(rpcprof_push_set_label(push, "version", "2"), 0);
	cr_assert_eq(rpcprof_push_set_label(push, "zone", NULL), 0);
	for (int i = 1; i <= 5; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "1 2 3 4 5 ");
	cr_assert_str_eq(sink.labels, "__name__=small service_name=test version=2 ");
	cr_assert_eq(stats_of(push).sent, 5);
	cr_assert_eq(rpcprof_push_close(push, 0), 0);
	cr_assert_eq(sink.closed, 1);
}

Test(push, full_queue_drops_the_oldest_and_never_waits)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	config.queue_sessions = 4;
	push = open_push(&config);
	sink.hold = true;
	cr_assert_eq(send_small(push, 1, now_ns()), 0);
	await_entered();
	for (int i = 2; i <= 10; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
	cr_assert_eq(stats_of(push).dropped_full, 6);
	cr_assert_eq(stats_of(push).queued, 4);
	set_hold(false);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "1 8 9 10 ");
	rpcprof_push_close(push, 0);
}

Test(push, what_did_not_arrive_is_sent_again)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	sink.failures = 3;
	sink.answer = RPCPROF_NOT_NOW;
	cr_assert_eq(send_small(push, 1, now_ns()), 0);
	cr_assert_eq(send_small(push, 2, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "1 2 ");
	cr_assert_eq(stats_of(push).retried, 3);
	cr_assert_eq(stats_of(push).last_status, 429);
	cr_assert_str_eq(stats_of(push).last_error, "not sent, to be tried again: slow down");
	rpcprof_push_close(push, 0);
}

Test(push, what_may_have_arrived_is_not_sent_again_unless_told_to)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	sink.failures = 1;
	sink.answer = RPCPROF_UNCERTAIN;
	cr_assert_eq(send_small(push, 1, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_eq(stats_of(push).dropped_uncertain, 1);
	rpcprof_push_close(push, 0);
	config.retry_uncertain = 1;
	push = open_push(&config);
	sink.failures = sink.attempts + 1;
	cr_assert_eq(send_small(push, 2, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "2 ");
	rpcprof_push_close(push, 0);
}

Test(push, refused_and_old_ones_are_dropped)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	sink.failures = 1;
	sink.answer = RPCPROF_REFUSED;
	cr_assert_eq(send_small(push, 1, now_ns()), 0);
	cr_assert_eq(send_small(push, 2, now_ns() - 3301 * 1000000000ll), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "");
	cr_assert_eq(stats_of(push).dropped_refused, 1);
	cr_assert_eq(stats_of(push).dropped_old, 1);
	rpcprof_push_close(push, 0);
}

Test(push, close_ends_a_send_that_hangs)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	sink.hold = true;
	sink.failures = 1;
	sink.answer = RPCPROF_NOT_NOW;
	cr_assert_eq(send_small(push, 1, now_ns()), 0);
	await_entered();
	cr_assert_eq(rpcprof_push_close(push, 1), -ETIMEDOUT);
	cr_assert_str_eq(sink.seen, "");
}

Test(push, what_is_no_profile_is_dropped_and_said_to_be_none)
{
	const struct rpcprof_window_profile window = {.begin_ns = now_ns(), .end_ns = now_ns(),
	                                              .bytes = (const uint8_t *)"\x1f\x8bnonsense",
	                                              .length = 10};
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	cr_assert_eq(rpcprof_push_send(push, NULL, &window, NULL, 0), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_eq(stats_of(push).dropped_invalid, 1);
	cr_assert_eq(sink.attempts, 0);
	rpcprof_push_close(push, 0);
}

static void send_large(struct rpcprof_push *push, int samples, int hosts)
{
	send_samples(push, samples, hosts);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
}

Test(push, too_many_samples_go_in_parts)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	config.profile_samples = 1000;
	push = open_push(&config);
	send_large(push, 2500, 3);
	cr_assert_eq(sink.parts, 3);
	cr_assert_eq(sink.total, 2500ll * 2501 / 2);
	cr_assert_eq(stats_of(push).split, 2);
	cr_assert_eq(stats_of(push).folded, 0);
	rpcprof_push_close(push, 0);
}

Test(push, what_fits_no_part_becomes_other_with_its_value)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	config.profile_bytes = 16 << 10;
	config.profile_parts = 2;
	push = open_push(&config);
	send_large(push, 5000, 200);
	cr_assert_eq(sink.parts, 2);
	cr_assert_eq(sink.total, 5000ll * 5001 / 2);
	cr_assert_gt(stats_of(push).folded, 0);
	rpcprof_push_close(push, 0);
}

Test(push, bad_labels_are_refused_when_set)
{
	static const struct {
		const char *name, *value;
	} bad[] = {{"a-b", "v"}, {"1a", "v"}, {"", "v"}, {"__name__", "v"}, {"a", ""},
	           {"a", "\xff"}, {"a", "line\nbreak"}, {NULL, "v"}};
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);
	char large[1200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(rpcprof_push_set_label(push, bad[i].name, bad[i].value), -EINVAL,
		             "label %zu", i);
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	cr_assert_eq(rpcprof_push_set_label(push, "a", large), -EINVAL);
	cr_assert_eq(rpcprof_push_set_label(push, "a", "with, comma"), 0);
	for (int i = 1; i < RPCPROF_PUSH_LABELS_MAX; i++) {
		snprintf(large, sizeof(large), "l%d", i);
		cr_assert_eq(rpcprof_push_set_label(push, large, "v"), 0);
	}
	rpcprof_push_close(push, 0);
	config.sink = NULL;
	config.url = "http://localhost:1";
	config.protocol = RPCPROF_PUSH_INGEST;
	push = open_push(&config);
	cr_assert_eq(rpcprof_push_set_label(push, "a", "with, comma"), -EINVAL);
	rpcprof_push_close(push, 0);
}

Test(push, values_of_labels_beyond_the_cap_become_other_and_are_counted)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char value[16];

	cr_assert_eq(rpcprof_init(NULL), 0);
	config.label_values = 3; /* one is service_name's */
	push = open_push(&config);
	for (int i = 1; i <= 5; i++) {
		snprintf(value, sizeof(value), "%d", i);
		cr_assert_eq(rpcprof_push_set_label(push, "shard", value), 0);
		cr_assert_eq(send_small(push, i, now_ns()), 0);
		cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
		cr_assert(strstr(sink.labels, i > 2    ? "shard=other "
		                              : i == 1 ? "shard=1 "
		                                       : "shard=2 "));
	}
	cr_assert_eq(rpcprof_push_set_label(push, "shard", "1"), 0);
	cr_assert_eq(send_small(push, 6, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert(strstr(sink.labels, "shard=1 "));
	cr_assert(strstr(sink.labels, "service_name=test "));
	cr_assert_eq(stats_of(push).labels_capped, 3);
	cr_assert(metrics_have("\nrpcprof_push_labels_capped_total{push=\"0\",url=\"the sink\"} 3\n"));
	rpcprof_push_close(push, 0);
}

Test(push, windows_of_a_clock_that_was_set_back_are_sent_and_forward_are_counted)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	cr_assert_eq(send_small(push, 1, now_ns() + 3600 * 1000000000ll), 0);
	cr_assert_eq(send_small(push, 2, now_ns() - 3600 * 1000000000ll), 0);
	cr_assert_eq(send_small(push, 3, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "1 3 ");
	cr_assert_eq(stats_of(push).dropped_old, 1);
	rpcprof_push_close(push, 0);
}

Test(push, bad_configurations_are_refused)
{
	struct rpcprof_push_config config = {.size = sizeof(config)}, none = config;
	struct rpcprof_push *push = NULL;
	static const char *const urls[] = {"localhost:4040", "ftp://h", "http://user:pw@h", "http://h?q",
	                                   ""};

	cr_assert_eq(rpcprof_push_open(&push, &none), -EINVAL);
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		config.url = urls[i];
		cr_assert_eq(rpcprof_push_open(&push, &config), -EINVAL, "%s", urls[i]);
	}
	config.url = "http://localhost:1";
	config.headers[0] = "X: 1\r\nY: 2";
	cr_assert_eq(rpcprof_push_open(&push, &config), -EINVAL);
	config.headers[0] = NULL;
	config.protocol = 9;
	cr_assert_eq(rpcprof_push_open(&push, &config), -EINVAL);
	config.protocol = RPCPROF_PUSH_AUTOPGO;
	config.application = "Upper";
	cr_assert_eq(rpcprof_push_open(&push, &config), -EINVAL);
	config.size = sizeof(config) + 8;
	cr_assert_eq(rpcprof_push_open(&push, &config), -EINVAL);
	cr_assert_null(push);
}

/* Both by the address sanitizer, others know neither. To it the argument of a thread that was not
 * joined is no leak, and so a push with all that it has would be none. */
static bool leaks(void)
{
#ifdef LOOKS_FOR_LEAKS
	return __lsan_do_recoverable_leak_check() != 0;
#else
	return false;
#endif
}

static size_t allocated(void)
{
#ifdef LOOKS_FOR_LEAKS
	return __sanitizer_get_current_allocated_bytes();
#else
	return 0;
#endif
}

static struct rpcprof_push *inherited[2];

/* In a child, and then nobody knows of it any more, no register nor a part of the stack either. */
static __attribute__((noinline)) bool is_closed(struct rpcprof_push **place)
{
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};
	bool closed = send_small(*place, 1, now_ns()) == -ESRCH &&
	              rpcprof_push_flush(*place, 1) == -ESRCH &&
	              rpcprof_push_get_stats(*place, &stats) == -ESRCH;
	size_t before = allocated();

	closed = closed && rpcprof_push_close(*place, 60000) == 0;
	*place = NULL;
	return closed && (before == 0 || allocated() + sizeof(struct rpcprof_push) < before);
}

Test(push, forked_child_has_none_and_frees_it)
{
	struct rpcprof_label label = {"zone", "b"};
	struct rpcprof_push_config config = quick(), web = quick();
	int status;
	pid_t pid;

	config.labels = &label;
	config.label_count = 1;
	config.spool = "/nowhere";
	web.sink = NULL;
	web.url = "http://127.0.0.1:1";
	inherited[0] = open_push(&config);
	inherited[1] = open_push(&web);
	sink.hold = true;
	for (int i = 1; i <= 3; i++)
		cr_assert_eq(send_small(inherited[0], i, now_ns()), 0);
	await_entered(); /* with one, and two wait */
	pid = quiet_fork();
	if (pid == 0) {
		bool closed = is_closed(&inherited[0]) && is_closed(&inherited[1]);

		_exit(closed ? leaks() : 2);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "%d: 1: it leaks, 2: it is open or kept", WEXITSTATUS(status));
	set_hold(false);
	cr_assert_eq(rpcprof_push_close(inherited[1], 0), 0);
	cr_assert_eq(rpcprof_push_close(inherited[0], 60000), 0);
	cr_assert_str_eq(sink.seen, "1 2 3 ");
}

static void fork_and_note(void *arg, enum rpcprof_log_level level, const char *message)
{
	pid_t pid = fork();

	(void)level;
	(void)message;
	if (pid == 0)
		_exit(0);
	*(int *)arg = waitpid(pid, NULL, 0) == pid ? 1 : 2;
}

Test(push, log_callback_may_fork)
{
	int forked = 0;
	struct rpcprof_config recording = {
		.size = sizeof(recording), .log = fork_and_note, .log_arg = &forked};
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;

	cr_assert_eq(rpcprof_init(&recording), 0);
	push = open_push(&config);
	cr_assert_eq(rpcprof_push_set_label(push, "no good", "x"), -EINVAL); /* under the lock */
	cr_assert_eq(forked, 1);
	cr_assert_eq(rpcprof_push_close(push, 0), 0);
}

Test(push, metrics_show_what_became_of_each)
{
	struct rpcprof_push_config config = quick(), other = quick();
	struct rpcprof_push *first, *second;

	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert(!metrics_have("rpcprof_push_"));
	first = open_push(&config);
	other.sink = NULL;
	other.url = "http://127.0.0.1:1/a\"b";
	second = open_push(&other);
	cr_assert_eq(send_small(first, 1, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(first, 60000), 0);
	cr_assert(metrics_have("\nrpcprof_push_sent_total{push=\"0\",url=\"the sink\"} 1\n"));
	cr_assert(metrics_have("\nrpcprof_push_sent_total{push=\"1\",url=\"http://127.0.0.1:1/a\\\"b\"} 0\n"));
	cr_assert(metrics_have("\nrpcprof_push_last_success_timestamp_seconds{push=\"1\",url=\"http://127.0.0.1:1/a\\\"b\"} 0."));
	cr_assert(!metrics_have("\nrpcprof_push_last_success_timestamp_seconds{push=\"0\",url=\"the sink\"} 0."));
	cr_assert(metrics_have("\nrpcprof_push_last_failure_timestamp_seconds{push=\"0\",url=\"the sink\"} 0."));
	cr_assert(!metrics_have("rpcprof_push_spool_files{"), "there is no spool");
	rpcprof_push_close(second, 0);
	rpcprof_push_close(first, 0);
	cr_assert(!metrics_have("rpcprof_push_"));
	first = open_push(&config);
	cr_assert(metrics_have("{push=\"0\""));
	rpcprof_push_close(first, 0);
}

#define SINCE "\nrpcprof_push_profiles_since_success{push=\"0\",url=\"the sink\"} "

Test(push, metrics_count_profiles_since_one_arrived)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);

	cr_assert_eq(rpcprof_init(NULL), 0);
	sink.failures = 2;
	sink.answer = RPCPROF_REFUSED;
	for (int i = 1; i <= 2; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert(metrics_have(SINCE "2\n"));
	cr_assert(metrics_have("\nrpcprof_push_dropped_total{push=\"0\",url=\"the sink\",reason=\"refused\"} 2\n"));
	cr_assert_eq(send_small(push, 3, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	cr_assert(metrics_have(SINCE "0\n"));
	rpcprof_push_close(push, 0);
}
