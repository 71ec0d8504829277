/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of calls: Snapshot, InFlight, Drain, GetStreamStats, Profile. */
#include "tests/unit/service_harness.h"

#include "export/pprof_model_internal.h"
#include "export/pprof_read_internal.h"

#define MANY 8000 /* of more than one message */

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

/* Drain. */

struct position {
	uint64_t session, batch;
	size_t calls;
	uint64_t first_batch;
};

static struct asked drain(const struct position *acknowledge)
{
	Rpcprof__V1__DrainRequest request = RPCPROF__V1__DRAIN_REQUEST__INIT;

	if (acknowledge != NULL) {
		request.session = acknowledge->session;
		request.batch = acknowledge->batch;
	}
	return ask(OURS "Drain", &request.base);
}

static void read_batch(const struct asked *asked, struct position *position)
{
	Rpcprof__V1__DrainResponse *batch =
		rpcprof__v1__drain_response__unpack(NULL, asked->length, asked->bytes);

	cr_assert_not_null(batch);
	cr_assert_leq(asked->length, 1u << 20);
	if (position->calls == 0)
		position->first_batch = batch->batch;
	else
		cr_assert_eq(batch->batch, position->batch + 1);
	position->session = batch->session;
	position->batch = batch->batch;
	position->calls += batch->n_stats;
	rpcprof__v1__drain_response__free_unpacked(batch, NULL);
}

static struct position drain_all(const struct position *acknowledge)
{
	struct asked asked = drain(acknowledge);
	struct position position = {0};

	while (more(&asked))
		read_batch(&asked, &position);
	cr_assert_eq(done(&asked), 0);
	return position;
}

Test(service_calls, what_was_not_acknowledged_comes_again, .init = start)
{
	struct position first, again, rest;

	record_many(MANY);
	first = drain_all(NULL);
	cr_assert_eq(first.calls, MANY);
	cr_assert_eq(first.first_batch, 1);
	cr_assert_gt(first.batch, 1);
	record_many(10);
	again = drain_all(NULL);
	cr_assert_eq(again.calls, MANY + 10);
	cr_assert_eq(again.first_batch, 1);
	cr_assert_eq(again.session, first.session);
	rest = drain_all(&first); /* all but the ten */
	cr_assert_eq(rest.calls, 10);
	rest = drain_all(&rest);
	cr_assert_eq(rest.calls, 0);
	cr_assert_eq(count(NULL, 0), 0);
}

Test(service_calls, what_waits_is_bounded_and_nothing_is_lost)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 1 << 17};
	struct position position = {0};
	Rpcprof__V1__StatusResponse *status;
	size_t calls = 0, rounds = 0;

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	record_many(100000);
	do {
		position = drain_all(rounds++ != 0 ? &position : NULL);
		calls += position.calls;
		status = ask_status();
		cr_assert_lt(status->unacknowledged, 90000);
		rpcprof__v1__status_response__free_unpacked(status, NULL);
	} while (position.calls != 0);
	cr_assert_eq(calls, 100000);
	cr_assert_gt(rounds, 2);
}

Test(service_calls, the_latest_drain_goes_on, .init = start)
{
	struct position position = {0};
	struct asked older;

	record_many(MANY);
	older = drain(NULL);
	cr_assert(more(&older));
	read_batch(&older, &position);
	cr_assert_eq(drain_all(NULL).calls, MANY);
	cr_assert_not(more(&older));
	cr_assert_eq(done(&older), 10);
}

Test(service_calls, an_acknowledgement_of_what_is_not_ours_is_refused, .init = start)
{
	struct position position;

	record_many(10);
	position = drain_all(NULL);
	position.batch++;
	cr_assert_eq(refused(drain(&position)), 3);
	position.batch--;
	position.session ^= 1;
	cr_assert_eq(refused(drain(&position)), 9);
	cr_assert_eq(drain_all(NULL).calls, 10);
}

/* GetStreamStats. */

typedef Grpc__Go__Profiling__V1alpha__GetStreamStatsResponse go_response;

static struct asked stream_stats(uint32_t answer_max)
{
	return ask_bytes(GO "GetStreamStats", RPCPROF_MAY_CONTROL, "", 0, answer_max);
}

static go_response *read_stream_stats(const struct asked *asked)
{
	go_response *response =
		grpc__go__profiling__v1alpha__get_stream_stats_response__unpack(
			NULL, asked->length, asked->bytes);

	cr_assert_not_null(response);
	return response;
}

static void free_stream_stats(go_response *response)
{
	grpc__go__profiling__v1alpha__get_stream_stats_response__free_unpacked(response, NULL);
}

/* What the command of grpc-go needs of each Stat, or it panics. */
static void assert_safe(const go_response *response)
{
	const Grpc__Go__Profiling__V1alpha__Stat *last;

	if (response->n_stream_stats == 0)
		return;
	for (size_t i = 0; i < response->n_stream_stats; i++) {
		const Grpc__Go__Profiling__V1alpha__Stat *stat = response->stream_stats[i];

		cr_assert_geq(stat->metadata.len, 12);
		cr_assert_gt(stat->n_timers, 0);
		for (size_t k = 0; k < stat->n_timers; k++) {
			cr_assert_neq(stat->timers[k]->go_id, 0);
			cr_assert_geq(stat->timers[k]->begin_nsec, 0);
			cr_assert_geq(stat->timers[k]->end_nsec, 0);
			cr_assert(rpcprof_pprof_utf8_valid(stat->timers[k]->tags,
			                                   strlen(stat->timers[k]->tags)));
		}
	}
	last = response->stream_stats[response->n_stream_stats - 1];
	cr_assert_eq(memcmp(last->metadata.data, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 0);
	cr_assert_geq(response->n_stream_stats, 2); /* one alone would be dropped */
}

/* The calls that one request tells. */
static size_t stream_stats_calls(uint32_t answer_max, bool delivered)
{
	struct asked asked = stream_stats(answer_max);
	go_response *response;
	size_t calls;

	cr_assert(more(&asked));
	cr_assert_leq(asked.length, answer_max);
	response = read_stream_stats(&asked);
	assert_safe(response);
	calls = response->n_stream_stats == 0 ? 0 : response->n_stream_stats - 1;
	free_stream_stats(response);
	cr_assert_not(more(&asked));
	cr_assert_eq(status_of(&asked), 0);
	rpcprof_service_end(asked.call, delivered);
	return calls;
}

Test(service_calls, stream_stats_of_nothing_are_none, .init = start)
{
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 0);
}

Test(service_calls, stream_stats_are_as_grpc_go_has_them, .init = start)
{
	const Grpc__Go__Profiling__V1alpha__Stat *stat;
	struct asked asked;
	go_response *response;

	record("/a.B/C", 0);
	asked = stream_stats(0);
	cr_assert(more(&asked));
	response = read_stream_stats(&asked);
	assert_safe(response);
	stat = response->stream_stats[0];
	cr_assert_str_eq(stat->tags, "server");
	cr_assert_eq(stat->metadata.len, 12);
	cr_assert_eq(memcmp(stat->metadata.data, "\0\0\0\0\0\0\0\7\0\0\0\11", 12), 0);
	cr_assert_eq(stat->n_timers, 3);
	cr_assert_str_eq(stat->timers[0]->tags, "/");
	cr_assert_str_eq(stat->timers[1]->tags, "/decode");
	cr_assert_eq(stat->timers[1]->end_nsec, stat->timers[2]->begin_nsec);
	cr_assert_eq(stat->timers[1]->go_id, gettid());
	free_stream_stats(response);
	cr_assert_eq(done(&asked), 0);
}

Test(service_calls, stream_stats_of_bare_calls_are_safe, .init = start)
{
	for (int i = 0; i < 3; i++)
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_CLIENT));
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 3);
}

Test(service_calls, what_does_not_fit_stays_for_the_next_answer, .init = start)
{
	size_t calls = 0, part, answers = 0;

	record_many(MANY);
	while ((part = stream_stats_calls(RPCPROF_ANSWER_MAX_LEAST, true)) != 0) {
		calls += part;
		answers++;
	}
	cr_assert_eq(calls, MANY);
	cr_assert_gt(answers, 2);
}

Test(service_calls, what_did_not_arrive_comes_with_the_next_answer, .init = start)
{
	size_t part, calls = 0;

	record_many(MANY);
	part = stream_stats_calls(2 * RPCPROF_ANSWER_MAX_LEAST, false);
	cr_assert_gt(part, 0);
	cr_assert_lt(part, MANY);
	while ((part = stream_stats_calls(RPCPROF_ANSWER_MAX_LEAST, true)) != 0)
		calls += part;
	cr_assert_eq(calls, MANY);
}

Test(service_calls, one_answer_of_stream_stats_at_a_time, .init = start)
{
	struct asked first;

	record_many(10);
	first = stream_stats(0);
	record_many(10);
	cr_assert_eq(refused(stream_stats(0)), 10);
	rpcprof_service_end(first.call, false);
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 20);
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
