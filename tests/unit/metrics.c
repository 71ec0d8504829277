/* SPDX-License-Identifier: Apache-2.0 */
/* The text for Prometheus. scripts/test-peers has it read by Prometheus's own tool. */
#include "tests/unit/exporter_harness.h"

#include <sys/wait.h>

#include "rpcprof/metrics.h"

static char *text;

static void scrape_with(const struct rpcprof_metrics_config *config)
{
	size_t length = 0;

	free(text);
	cr_assert_eq(rpcprof_metrics_text(config, &text, &length), 0);
	cr_assert_eq(strlen(text), length);
}

static void scrape(void)
{
	scrape_with(NULL);
}

/* What stands after a series; "" if it is not there. */
static const char *value(const char *series)
{
	static char found[64];
	size_t length = strlen(series);

	found[0] = '\0';
	for (const char *at = text; (at = strstr(at, series)) != NULL; at += length)
		if ((at == text || at[-1] == '\n') && at[length] == ' ')
			snprintf(found, sizeof(found), "%.*s", (int)strcspn(at + length + 1, "\n"),
			         at + length + 1);
	return found;
}

/* The sum over all series of a name. */
static uint64_t total(const char *name)
{
	size_t length = strlen(name);
	uint64_t sum = 0;

	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		if (strncmp(line, name, length) == 0 && line[length] == '{')
			sum += strtoull(strstr(line, "} ") + 2, NULL, 10);
	return sum;
}

static void call_with_status(const char *method, int32_t status)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, method, (size_t)-1));
	rpcprof_stat_set_status(stat, status);
	rpcprof_stat_end(stat);
}

static void make_statuses(void)
{
	for (int i = 0; i < 3; i++)
		call_with_status("/a.B/C", 0);
	call_with_status("/a.B/C", 4);
	call_with_status("/a.B/C", 16);
	call_with_status("/a.B/C", 17);
	call_with_status("/a.B/C", -1);
	call("/a.B/C", 0);
}

#define CALLS_OF_C "rpcprof_calls_total{side=\"server\",rpc_method=\"a.B/C\",rpc_response_status_code="

static void expect_statuses(void)
{
	cr_assert_str_eq(value(CALLS_OF_C "\"OK\"}"), "3");
	cr_assert_str_eq(value(CALLS_OF_C "\"DEADLINE_EXCEEDED\"}"), "1");
	cr_assert_str_eq(value(CALLS_OF_C "\"UNAUTHENTICATED\"}"), "1");
	cr_assert_str_eq(value(CALLS_OF_C "\"(other)\"}"), "2");
	cr_assert_str_eq(value(CALLS_OF_C "\"(none)\"}"), "1");
	cr_assert_eq(total("rpcprof_calls_total"), 8);
}

Test(metrics, needs_init)
{
	size_t length = 7;
	char *before = text = strdup("untouched");

	cr_assert_eq(rpcprof_metrics_text(NULL, &text, &length), -ENODEV);
	cr_assert_eq(text, before);
	cr_assert_eq(length, 7);
}

Test(metrics, statuses_are_counted_though_profiles_have_no_such_label)
{
	init_fake(64);
	make_statuses();
	scrape();
	expect_statuses();
}

Test(metrics, statuses_are_the_same_when_they_are_a_label_of_profiles)
{
	init_fake(64);
	open_stepped((struct rpcprof_exporter_config){.label_status = 1, .label_method = 1});
	make_statuses();
	scrape();
	expect_statuses();
	rpcprof_exporter_close(&stepped);
}

#define OF_C "{side=\"server\",rpc_method=\"a.B/C\"}"
#define BELOW(bound) "rpcprof_call_duration_seconds_bucket{side=\"server\",rpc_method=\"a.B/C\",le=\"" bound "\"}"

Test(metrics, buckets_are_cumulative_and_seconds_are_exact)
{
	init_fake(64);
	call("/a.B/C", 1000);        /* 1 us */
	call("/a.B/C", 99000);       /* 1 % below a bound, and 1 % above it */
	call("/a.B/C", 101000);
	call("/a.B/C", 1980000000);
	call("/a.B/C", 11 * S + 7);
	scrape();
	cr_assert_str_eq(value(BELOW("0.0001")), "2");
	cr_assert_str_eq(value(BELOW("0.0003")), "3");
	cr_assert_str_eq(value(BELOW("1")), "3");
	cr_assert_str_eq(value(BELOW("2")), "4");
	cr_assert_str_eq(value(BELOW("10")), "4");
	cr_assert_str_eq(value(BELOW("+Inf")), "5");
	cr_assert_str_eq(value("rpcprof_call_duration_seconds_count" OF_C), "5");
	cr_assert_str_eq(value("rpcprof_call_duration_seconds_sum" OF_C), "12.980201007");
}

Test(metrics, bounds_can_be_set)
{
	struct rpcprof_metrics_config config = {.size = sizeof(config), .bounds_ns = {50, 1500000000}};

	init_fake(64);
	call("/a.B/C", 50);
	call("/a.B/C", 51);
	scrape_with(&config);
	cr_assert_str_eq(value(BELOW("0.00000005")), "1");
	cr_assert_str_eq(value(BELOW("1.5")), "2");
	cr_assert_str_eq(value(BELOW("10")), "");
}

Test(metrics, bounds_that_do_not_ascend_are_refused)
{
	struct rpcprof_metrics_config config = {.size = sizeof(config), .bounds_ns = {50, 50}};
	size_t length;
	char *none;

	init_fake(64);
	cr_assert_eq(rpcprof_metrics_text(&config, &none, &length), -EINVAL);
	config = (struct rpcprof_metrics_config){.size = sizeof(config) + 1};
	cr_assert_eq(rpcprof_metrics_text(&config, &none, &length), -EINVAL);
}

#define STAGE_OF_C(suffix, stage) \
	"rpcprof_stage_duration_seconds_" suffix "{side=\"server\",rpc_method=\"a.B/C\",stage=\"" stage "\"}"

/* "/db" twice within "/handler" and once beside it. */
static void call_with_stages(void)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	struct rpcprof_timer handler, db;

	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a.B/C", (size_t)-1));
	handler = rpcprof_timer_begin(stat, RPCPROF_TAG("/handler"));
	for (int i = 0; i < 3; i++) {
		if (i == 2)
			rpcprof_timer_end(handler);
		db = rpcprof_timer_begin(stat, RPCPROF_TAG("/db"));
		pass(1000);
		rpcprof_timer_end(db);
	}
	rpcprof_stat_end(stat);
}

Test(metrics, stages_are_summed_whatever_they_lie_in)
{
	init_fake(64);
	call_with_stages();
	scrape();
	cr_assert_str_eq(value(STAGE_OF_C("count", "/handler")), "1");
	cr_assert_str_eq(value(STAGE_OF_C("sum", "/handler")), "0.000002000");
	cr_assert_str_eq(value(STAGE_OF_C("count", "/db")), "3");
	cr_assert_str_eq(value(STAGE_OF_C("sum", "/db")), "0.000003000");
	cr_assert_null(strstr(text, "rpcprof_stage_duration_seconds_bucket"));
	cr_assert_not_null(strstr(text, "# TYPE rpcprof_stage_duration_seconds summary\n"));
}

Test(metrics, stages_have_buckets_if_asked)
{
	struct rpcprof_metrics_config config = {.size = sizeof(config), .stage_buckets = 1};
	const char *db = "rpcprof_stage_duration_seconds_bucket{side=\"server\",rpc_method=\"a.B/C\","
			 "stage=\"/db\",le=\"0.0001\"}";

	init_fake(64);
	call_with_stages();
	scrape_with(&config);
	cr_assert_str_eq(value(db), "3");
	cr_assert_not_null(strstr(text, "# TYPE rpcprof_stage_duration_seconds histogram\n"));
}

Test(metrics, labels_of_profiles_make_no_series)
{
	init_fake(64);
	open_stepped((struct rpcprof_exporter_config){.label_keys = {"tenant"}});
	for (int i = 0; i < 6; i++) {
		static const char *const tenants[] = {"x", "y", "z"};
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a.B/C",
		                                                 (size_t)-1));
		rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "tenant", (size_t)-1),
		                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, tenants[i % 3], (size_t)-1));
		pass(1000);
		rpcprof_stat_end(stat);
	}
	scrape();
	cr_assert_str_eq(value(CALLS_OF_C "\"(none)\"}"), "6");
	cr_assert_str_eq(value(BELOW("0.0001")), "6");
	cr_assert_str_eq(value("rpcprof_call_duration_seconds_sum" OF_C), "0.000006000");
	cr_assert_null(strstr(text, "tenant"));
	rpcprof_exporter_close(&stepped);
}

Test(metrics, names_cannot_leave_their_quotes)
{
	init_fake(64);
	call("/a\"} 1\nrpcprof_calls_total{side=\"\\", 0);
	call("/b\x1b[31m\xff\xc3\xa9\x7f", 0);
	scrape();
	cr_assert_str_eq(value("rpcprof_calls_total{side=\"server\",rpc_method=\"a\\\"} 1\\n"
	                       "rpcprof_calls_total{side=\\\"\\\\\",rpc_response_status_code=\"(none)\"}"),
	                 "1");
	cr_assert_str_eq(value("rpcprof_calls_total{side=\"server\",rpc_method=\"b\xef\xbf\xbd[31m"
	                       "\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\",rpc_response_status_code=\"(none)\"}"),
	                 "1");
}

Test(metrics, names_that_look_the_same_are_one_series)
{
	init_fake(64);
	call("/a.B/C", 1000);
	call("a.B/C", 1000);
	scrape();
	cr_assert_str_eq(value(CALLS_OF_C "\"(none)\"}"), "2");
	cr_assert_str_eq(value("rpcprof_call_duration_seconds_sum" OF_C), "0.000002000");
}

/* More methods than there is memory for. */
Test(metrics, overflow_loses_no_call_and_no_status)
{
	char method[64];

	init_fake(4096);
	open_stepped((struct rpcprof_exporter_config){.aggregate_bytes = RPCPROF_AGGREGATE_BYTES_MIN});
	for (int i = 0; i < 1000; i++) {
		snprintf(method, sizeof(method), "/a.B/C%d", i);
		call_with_status(method, i % 2 == 0 ? 0 : 14);
	}
	scrape();
	cr_assert_eq(total("rpcprof_calls_total"), 1000);
	cr_assert_neq(atoi(value("rpcprof_dropped_total{reason=\"series\"}")), 0);
	cr_assert_neq(atoi(value("rpcprof_calls_total{side=\"server\",rpc_method=\"(other)\","
	                         "rpc_response_status_code=\"UNAVAILABLE\"}")), 0);
	rpcprof_exporter_close(&stepped);
}

Test(metrics, durations_without_memory_are_in_the_last_bucket_and_counted)
{
	uint64_t ns = 1;
	uint64_t lost;

	init_fake(4096);
	open_stepped((struct rpcprof_exporter_config){.aggregate_bytes = RPCPROF_AGGREGATE_BYTES_MIN});
	/* Other octaves for each method, until there are none left. */
	for (int i = 0; i < 700; i++, ns = ns < S ? 2 * ns : 1)
		call(i % 2 == 0 ? "/a/X" : "/a/Y", ns);
	for (int i = 0; i < 40; i++) {
		char method[32];

		snprintf(method, sizeof(method), "/a/Z%d", i);
		for (ns = 64; ns < S; ns *= 2)
			call(method, ns);
	}
	scrape();
	lost = strtoull(value("rpcprof_dropped_total{reason=\"histogram\"}"), NULL, 10);
	cr_assert_gt(lost, 0);
	cr_assert_eq(total("rpcprof_call_duration_seconds_count"), 700 + 40 * 24);
	rpcprof_exporter_close(&stepped);
}

Test(metrics, a_scrape_takes_nothing_from_windows_or_other_scrapes)
{
	init_fake(64);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a.B/C", 1000);
	scrape();
	call("/a.B/C", 2000);
	scrape();
	scrape();
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.calls, 2);
	cr_assert_eq(said.wall_ns, 3000);
	scrape();
	cr_assert_str_eq(value("rpcprof_call_duration_seconds_count" OF_C), "2");
	rpcprof_exporter_close(&stepped);
}

Test(metrics, calls_in_flight_and_lost_ones_are_shown)
{
	struct rpcprof_stat one, two;

	init_fake(64);
	scrape();
	one = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	two = rpcprof_stat_begin(RPCPROF_TAG_CLIENT);
	for (int i = 0; i < 1000; i++)
		call("/a.B/C", 10);
	scrape();
	cr_assert_str_eq(value("rpcprof_calls_in_flight"), "2");
	cr_assert_eq(total("rpcprof_calls_total") +
	                     strtoull(value("rpcprof_unaggregated_calls_total"), NULL, 10), 1000);
	cr_assert_str_neq(value("rpcprof_unaggregated_calls_total"), "0");
	rpcprof_stat_end(one);
	rpcprof_stat_end(two);
	scrape();
	cr_assert_str_eq(value("rpcprof_calls_in_flight"), "0");
}

Test(metrics, begins_without_memory_are_dropped)
{
	struct rpcprof_stat stats[512];
	char expected[32];
	int refused = 0;

	init_fake(64);
	scrape();
	cr_assert_str_eq(value("rpcprof_dropped_total{reason=\"no_cell\"}"), "0");
	for (int i = 0; i < 512; i++) {
		stats[i] = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		refused += rpcprof_stat_is_null(stats[i]);
	}
	scrape();
	snprintf(expected, sizeof(expected), "%d", refused);
	cr_assert_gt(refused, 0);
	cr_assert_str_eq(value("rpcprof_dropped_total{reason=\"no_cell\"}"), expected);
}

Test(metrics, says_what_it_is)
{
	char series[64];

	init_fake(64);
	scrape();
	snprintf(series, sizeof(series), "rpcprof_build_info{version=\"%s\"}", rpcprof_version());
	cr_assert_str_eq(value(series), "1");
}

Test(metrics, a_forked_child_begins_anew)
{
	int status = 1;
	pid_t child;

	init_real();
	call("/a.B/C", 0);
	scrape();
	child = fork();
	if (child == 0) {
		call("/d.E/F", 0);
		scrape();
		_exit(total("rpcprof_calls_total") == 1 && strstr(text, "d.E/F") != NULL ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
