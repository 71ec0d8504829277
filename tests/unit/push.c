/* SPDX-License-Identifier: Apache-2.0 */
/* The queue, its thread and its spool, before a sink of the test's own. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "push/fit_internal.h"
#include "push/labels_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/metrics.h"
#include "rpcprof/push.h"

/* A sink that answers as it is told and remembers what it was sent. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold;      /* sends wait until it is false */
	bool entered;   /* one waits */
	int failures;   /* so many first ones get `answer` */
	enum rpcprof_delivery answer;
	uint32_t retry_after_s;
	char seen[4096]; /* of what was delivered: "begin " each */
	char labels[1024]; /* of the last one */
	int64_t last_time_ns; /* of a profile; a server may keep one only of a time */
	int64_t total; /* of the values of the last type */
	int parts, attempts, closed;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void remember(const struct rpcprof_session *session)
{
	struct rpcprof_pprof *model;
	struct pprof_error error;
	size_t n = strlen(sink.seen);

	snprintf(sink.seen + n, sizeof(sink.seen) - n, "%d ", (int)(session->end_ns - session->begin_ns));
	sink.labels[0] = '\0';
	for (size_t i = 0; i < session->label_count; i++) {
		n = strlen(sink.labels);
		snprintf(sink.labels + n, sizeof(sink.labels) - n, "%s=%s ",
		         session->labels[i].name, session->labels[i].value);
	}
	cr_assert_eq(rpcprof_fit_read(session->bytes, session->length, &model, &error), 0);
	for (size_t i = 0; i < model->samples_count; i++)
		sink.total += rpcprof_pprof_values(model, i)[model->types_count - 1];
	cr_assert_neq(model->time_ns, sink.last_time_ns);
	sink.last_time_ns = model->time_ns;
	rpcprof_pprof_close(model);
	sink.parts++;
}

static enum rpcprof_delivery sink_send(void *arg, const struct rpcprof_session *session,
                                       struct rpcprof_reply *reply)
{
	enum rpcprof_delivery delivery = RPCPROF_DELIVERED;

	cr_assert_eq(arg, &sink);
	pthread_mutex_lock(&sink.lock);
	sink.entered = true;
	pthread_cond_broadcast(&sink.changed);
	while (sink.hold)
		pthread_cond_wait(&sink.changed, &sink.lock);
	sink.entered = false;
	sink.attempts++;
	if (sink.attempts <= sink.failures) {
		delivery = sink.answer;
		reply->status = 429;
		reply->retry_after_s = sink.retry_after_s;
		snprintf(reply->message, sizeof(reply->message), "slow down");
	} else {
		remember(session);
	}
	pthread_mutex_unlock(&sink.lock);
	return delivery;
}

static void set_hold(bool hold)
{
	pthread_mutex_lock(&sink.lock);
	sink.hold = hold;
	pthread_cond_broadcast(&sink.changed);
	pthread_mutex_unlock(&sink.lock);
}

static void await_entered(void)
{
	pthread_mutex_lock(&sink.lock);
	while (!sink.entered)
		pthread_cond_wait(&sink.changed, &sink.lock);
	pthread_mutex_unlock(&sink.lock);
}

static void sink_interrupt(void *arg)
{
	(void)arg;
	set_hold(false);
}

static void sink_close(void *arg)
{
	(void)arg;
	sink.closed++;
}

static const struct rpcprof_sink table = {sizeof(table), sink_send, sink_interrupt, sink_close};

static struct rpcprof_push_config quick(void)
{
	struct rpcprof_push_config config = {.size = sizeof(config), .sink = &table,
	                                     .sink_arg = &sink, .application = "test",
	                                     .backoff_min_ms = 1, .backoff_max_ms = 2};
	return config;
}

static struct rpcprof_push *open_push(const struct rpcprof_push_config *config)
{
	struct rpcprof_push *push = NULL;

	cr_assert_eq(rpcprof_push_open(&push, config), 0);
	return push;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* A profile of `samples` samples, the i-th one's value i + 1, in the labels host=0..`hosts`. */
static void make(int samples, int hosts, uint8_t **bytes, size_t *length)
{
	static const struct rpcprof_pprof_type types[] = {{"calls", "count"}, {"wall", "nanoseconds"}};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&(struct rpcprof_pprof_info){
		.types = types, .type_count = 2, .period_type = types[1], .period = 1,
		.time_ns = now_ns(), .duration_ns = 1, .mapping_file = "/test"});

	for (int i = 0; i < samples; i++) {
		char name[32], host[32];
		int64_t values[] = {1, i + 1};
		struct rpcprof_pprof_label label = {0};
		uint64_t location;

		snprintf(name, sizeof(name), "frame %d", i);
		snprintf(host, sizeof(host), "%d", i % (hosts + 1));
		location = (uint64_t)rpcprof_pprof_location(pprof, name, "file");
		label.key = rpcprof_pprof_string(pprof, "host");
		label.str = rpcprof_pprof_string(pprof, host);
		cr_assert_eq(rpcprof_pprof_add(pprof, &location, 1, values, &label, hosts > 0), 0);
	}
	cr_assert_eq(rpcprof_pprof_encode(pprof, bytes, length), 0);
	rpcprof_pprof_close(pprof);
}

/* Sends a small profile; its window is `number` ns long, by which the sink knows it. */
static int send_small(struct rpcprof_push *push, int number, int64_t begin_ns)
{
	struct rpcprof_window_profile window = {.begin_ns = begin_ns, .end_ns = begin_ns + number};
	uint8_t *bytes;
	int error;

	make(1, 0, &bytes, &window.length);
	window.bytes = bytes;
	error = rpcprof_push_send(push, "small", &window, NULL, 0);
	free(bytes);
	return error;
}

static struct rpcprof_push_stats stats_of(struct rpcprof_push *push)
{
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};

	cr_assert_eq(rpcprof_push_get_stats(push, &stats), 0);
	cr_assert_eq(stats.taken + stats.split + stats.unspooled,
	             stats.sent + stats.dropped_full + stats.dropped_refused +
	                     stats.dropped_uncertain + stats.dropped_old + stats.dropped_invalid +
	                     stats.dropped_closed + stats.spooled + stats.queued);
	return stats;
}

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
	struct rpcprof_window_profile window = {.begin_ns = now_ns(), .end_ns = now_ns()};
	uint8_t *bytes;

	make(samples, hosts, &bytes, &window.length);
	window.bytes = bytes;
	cr_assert_eq(rpcprof_push_send(push, NULL, &window, NULL, 0), 0);
	free(bytes);
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

/* The spool. */

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

/* Leaves `count` sessions in the spool, as a process does that ends while its server is down. */
static void leave(const struct rpcprof_push_config *config, int count)
{
	struct rpcprof_push *push = open_push(config);

	sink.failures = INT32_MAX;
	sink.answer = RPCPROF_NOT_NOW;
	for (int i = 1; i <= count; i++)
		cr_assert_eq(send_small(push, i, now_ns()), 0);
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

Test(push, spool_outlives_the_process_and_is_sent_newest_first, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

	config.spool = mkdtemp(directory);
	leave(&config, 3);
	cr_assert_eq(files_in_spool(name), 3);
	push = open_push(&config);
	await_seen(3);
	cr_assert_str_eq(sink.seen, "3 2 1 ");
	cr_assert_str_eq(sink.labels, "__name__=small service_name=test ");
	rpcprof_push_close(push, 60000);
	cr_assert_eq(files_in_spool(name), 0);
}

Test(push, damaged_spool_files_are_skipped, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];
	FILE *file;

	config.spool = mkdtemp(directory);
	leave(&config, 2);
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

Test(push, spool_keeps_to_its_size, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	char name[512];

	config.spool = mkdtemp(directory);
	config.spool_bytes = 1024;
	leave(&config, 20);
	cr_assert_gt(files_in_spool(name), 0);
	cr_assert_lt(files_in_spool(name), 6);
}

Test(push, older_half_of_a_queue_goes_to_the_spool_in_an_outage, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

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
	cr_assert_eq(stats_of(push).dropped_full, 0);
	rpcprof_push_close(push, 1);
	cr_assert_eq(files_in_spool(name), 8);
}

Test(push, spool_that_cannot_be_written_costs_one_profile_not_the_queue)
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

Test(push, sessions_of_other_targets_are_left_in_the_spool, .fini = remove_spool)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push;
	char name[512];

	config.spool = mkdtemp(directory);
	leave(&config, 1);
	config.protocol = RPCPROF_PUSH_INGEST;
	push = open_push(&config);
	cr_assert_eq(send_small(push, 7, now_ns()), 0);
	cr_assert_eq(rpcprof_push_flush(push, 60000), 0);
	rpcprof_push_close(push, 0);
	cr_assert_str_eq(sink.seen, "7 ");
	cr_assert_eq(files_in_spool(name), 1);
}

Test(push, forked_child_has_none)
{
	struct rpcprof_push_config config = quick();
	struct rpcprof_push *push = open_push(&config);
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (send_small(push, 1, now_ns()) == -ESRCH &&
		    rpcprof_push_flush(push, 1) == -ESRCH &&
		    rpcprof_push_get_stats(push, &stats) == -ESRCH &&
		    rpcprof_push_close(push, 60000) == 0)
			(void)raise(SIGKILL); /* what is the parent's is no leak of the child's */
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	cr_assert_eq(send_small(push, 1, now_ns()), 0);
	cr_assert_eq(rpcprof_push_close(push, 60000), 0);
	cr_assert_str_eq(sink.seen, "1 ");
}

static bool metrics_have(const char *line)
{
	size_t length;
	char *text = NULL;
	bool found;

	cr_assert_eq(rpcprof_metrics_text(NULL, &text, &length), 0);
	found = strstr(text, line) != NULL;
	free(text);
	return found;
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
