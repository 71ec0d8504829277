/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of calls that stay where they are: Snapshot, InFlight, Profile. */
#include "tests/unit/service_harness.h"

#include "export/pprof_model_internal.h"
#include "export/pprof_read_internal.h"

static struct asked snapshot(Rpcprof__V1__Filter *filter, uint32_t last)
{
	Rpcprof__V1__SnapshotRequest request = RPCPROF__V1__SNAPSHOT_REQUEST__INIT;

	request.filter = filter;
	request.last = last;
	return ask(OURS "Snapshot", &request.base);
}

/* Every call once, in the order of the ends. */
static void assert_ordered(const Rpcprof__V1__Dump *dump)
{
	for (size_t i = 1; i < dump->n_stats; i++) {
		const Rpcprof__V1__Stat *a = dump->stats[i - 1], *b = dump->stats[i];

		cr_assert_leq(a->begin_utc_ns, b->begin_utc_ns); /* one thread: ends as begins */
		cr_assert_neq(a->id, b->id);
	}
}

Test(service_calls, a_snapshot_of_nothing_has_a_header_and_an_end, .init = start)
{
	Rpcprof__V1__Dump *dump = dump_of(snapshot(NULL, 0));

	cr_assert_not_null(dump->header);
	cr_assert_eq(dump->header->pid, getpid());
	cr_assert_not_null(dump->end);
	cr_assert_eq(dump->end->stats, 0);
	cr_assert_eq(dump->n_stats, 0);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

Test(service_calls, a_snapshot_has_all_calls_in_pieces_and_takes_none, .init = start)
{
	Rpcprof__V1__Dump *dump;
	struct whole whole;

	record_many(MANY);
	for (int round = 0; round < 2; round++) {
		whole = all_of(snapshot(NULL, 0));
		cr_assert_gt(whole.messages, 1);
		cr_assert_leq(whole.longest, 1u << 20);
		dump = rpcprof__v1__dump__unpack(NULL, whole.length, whole.bytes);
		cr_assert_eq(dump->n_stats, MANY);
		cr_assert_eq(dump->end->stats, MANY);
		cr_assert_eq(dump->end->torn, 0);
		assert_ordered(dump);
		rpcprof__v1__dump__free_unpacked(dump, NULL);
		free(whole.bytes);
	}
}

Test(service_calls, calls_that_end_meanwhile_do_not_push_others_out, .init = start)
{
	struct asked asked;
	Rpcprof__V1__Dump *dump;
	uint64_t calls = 0;

	record_many(MANY);
	asked = snapshot(NULL, MANY - 10);
	while (more(&asked)) {
		dump = rpcprof__v1__dump__unpack(NULL, asked.length, asked.bytes);
		calls += dump->n_stats;
		rpcprof__v1__dump__free_unpacked(dump, NULL);
		record_many(5000);
	}
	cr_assert_eq(done(&asked), 0);
	cr_assert_eq(calls, MANY - 10);
}

Test(service_calls, calls_that_end_at_one_instant_are_told_once_each, .init = start)
{
	uint64_t end = rpcprof_clock_now();
	uint32_t method = rpcprof_tag_intern(
		RPCPROF_TAG_METHOD, "/a.name/long.enough.for.eight.thousand.calls.to.take.more.than.a."
		"message.which.takes.about.one.hundred.and.thirty.bytes.for.each.of.them", (size_t)-1);
	Rpcprof__V1__Dump *dump;
	struct whole whole;

	for (uint32_t i = 0; i < MANY; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, end - i);

		rpcprof_stat_set_method(stat, method);
		rpcprof_stat_end_at(stat, end);
	}
	whole = all_of(snapshot(NULL, 0));
	cr_assert_gt(whole.messages, 1);
	dump = rpcprof__v1__dump__unpack(NULL, whole.length, whole.bytes);
	cr_assert_eq(dump->n_stats, MANY);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
	free(whole.bytes);
}

/* The last N when they are looked at, which is later than they were asked for. */
Test(service_calls, calls_that_end_meanwhile_are_among_the_last, .init = start)
{
	struct asked asked;
	Rpcprof__V1__Dump *dump;

	record_many(5);
	asked = snapshot(NULL, 3);
	record_many(2);
	dump = dump_of(asked);
	cr_assert_eq(dump->n_stats, 3);
	cr_assert_eq(dump->end->stats, 3);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

Test(service_calls, a_call_is_told_in_full, .init = start)
{
	Rpcprof__V1__Dump *dump;
	const Rpcprof__V1__Stat *stat;

	record("/a.B/C", 14);
	dump = dump_of(snapshot(NULL, 0));
	cr_assert_eq(dump->n_stats, 1);
	stat = dump->stats[0];
	cr_assert_str_eq(stat->side, "server");
	cr_assert_str_eq(stat->method, "/a.B/C");
	cr_assert_eq(stat->status->code, 14);
	cr_assert_eq(stat->metadata.len, 12);
	cr_assert_eq(stat->n_timers, 2);
	cr_assert_str_eq(stat->timers[0]->tag, "/decode");
	cr_assert_str_eq(stat->timers[1]->tag, "/handler");
	cr_assert_eq(stat->timers[0]->offset_ns + (int64_t)stat->timers[0]->duration_ns,
	             stat->timers[1]->offset_ns);
	cr_assert_eq(stat->timers[0]->thread, (uint32_t)gettid());
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

static size_t count(Rpcprof__V1__Filter *filter, uint32_t last)
{
	Rpcprof__V1__Dump *dump = dump_of(snapshot(filter, last));
	size_t calls = dump->n_stats;

	cr_assert_eq(dump->end->stats, calls);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
	return calls;
}

Test(service_calls, a_filter_chooses, .init = start)
{
	Rpcprof__V1__Filter filter = RPCPROF__V1__FILTER__INIT;
	Rpcprof__V1__StatusCode code = RPCPROF__V1__STATUS_CODE__INIT;

	for (int i = 0; i < 3; i++)
		record("/a.B/C", 0);
	record("/a.B/D", 5);
	filter.method = (char *)"/a.B/C";
	cr_assert_eq(count(&filter, 0), 3);
	cr_assert_eq(count(&filter, 2), 2);
	filter.method = (char *)"/no.Such/Method";
	cr_assert_eq(count(&filter, 0), 0);
	filter.method = (char *)"";
	filter.status = &code;
	cr_assert_eq(count(&filter, 0), 3);
	code.code = 5;
	cr_assert_eq(count(&filter, 0), 1);
	filter.status = NULL;
	filter.side = (char *)"client";
	cr_assert_eq(count(&filter, 0), 0);
	filter.side = (char *)"server";
	cr_assert_eq(count(&filter, 0), 4);
	filter.min_duration_ns = 3600000000000;
	cr_assert_eq(count(&filter, 0), 0);
}

Test(service_calls, names_are_utf_8_whatever_they_were, .init = start)
{
	Rpcprof__V1__Dump *dump;

	record("/\xff\xfe</script>\033[2J\n", 0);
	dump = dump_of(snapshot(NULL, 0));
	cr_assert_str_eq(dump->stats[0]->method, "/\xef\xbf\xbd\xef\xbf\xbd</script>\033[2J\n");
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

Test(service_calls, calls_in_flight_show_their_stage, .init = start)
{
	Rpcprof__V1__InFlightRequest request = RPCPROF__V1__IN_FLIGHT_REQUEST__INIT;
	struct rpcprof_stat stats[100];
	Rpcprof__V1__Dump *dump;

	record_many(10);
	for (int i = 0; i < 100; i++) {
		stats[i] = rpcprof_stat_begin(RPCPROF_TAG_CLIENT);
		rpcprof_lap(stats[i], RPCPROF_TAG("/wait"));
	}
	dump = dump_of(ask(OURS "InFlight", &request.base));
	cr_assert_eq(dump->n_stats, 100);
	for (int i = 0; i < 100; i++) {
		cr_assert(dump->stats[i]->in_flight);
		cr_assert_str_eq(dump->stats[i]->open_stage, "/wait");
		rpcprof_stat_end(stats[i]);
	}
	rpcprof__v1__dump__free_unpacked(dump, NULL);
	dump = dump_of(ask(OURS "InFlight", &request.base));
	cr_assert_eq(dump->n_stats, 0);
	rpcprof__v1__dump__free_unpacked(dump, NULL);
}

/* Profile. */

static struct asked profile(uint64_t duration_ns)
{
	Rpcprof__V1__ProfileRequest request = RPCPROF__V1__PROFILE_REQUEST__INIT;

	request.duration_ns = duration_ns;
	return ask(OURS "Profile", &request.base);
}

static int64_t profile_calls(const uint8_t *bytes, size_t length)
{
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;
	uint8_t *plain = NULL;
	size_t plain_length;
	int64_t calls = 0;

	cr_assert_eq(rpcprof_pprof_gunzip(bytes, length, 1 << 26, &plain, &plain_length, &error), 0);
	cr_assert_eq(rpcprof_pprof_decode(plain, plain_length, 0, &model, &error), 0);
	for (size_t i = 0; i < model->samples_count; i++)
		calls += rpcprof_pprof_values(model, i)[0];
	rpcprof_pprof_close(model);
	free(plain);
	return calls;
}

/* The calls of a profile during which `meanwhile` calls end. */
static int64_t profile_of(uint64_t duration_ns, uint32_t meanwhile)
{
	struct asked asked = profile(duration_ns);
	Rpcprof__V1__ProfileResponse *response;
	int64_t calls;

	cr_assert_eq(rpcprof_service_next(asked.call, &asked.bytes, &asked.length), -EAGAIN);
	record_many(meanwhile);
	cr_assert(more(&asked));
	response = rpcprof__v1__profile_response__unpack(NULL, asked.length, asked.bytes);
	cr_assert_geq(response->duration_ns, duration_ns);
	calls = response->pprof.len == 0 ? 0
	                                 : profile_calls(response->pprof.data, response->pprof.len);
	rpcprof__v1__profile_response__free_unpacked(response, NULL);
	cr_assert_not(more(&asked));
	cr_assert_eq(done(&asked), 0);
	return calls;
}

Test(service_calls, a_profile_has_the_calls_of_its_time, .init = start)
{
	record_many(100);
	cr_assert_eq(profile_of(100000000, 42), 42);
	record_many(10);
	cr_assert_eq(profile_of(1000000, 0), 0);
	cr_assert_eq(count(NULL, 0), 152); /* they are still there */
}

Test(service_calls, a_profile_of_a_time_out_of_range_is_refused, .init = start)
{
	cr_assert_eq(refused(profile(0)), 3);
	cr_assert_eq(refused(profile(UINT64_MAX)), 3);
}

Test(service_calls, a_profile_needs_recording_to_be_on, .init = start)
{
	rpcprof_enable(false);
	cr_assert_eq(refused(profile(1000000)), 9);
}
