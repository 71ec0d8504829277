/* SPDX-License-Identifier: Apache-2.0 */
/* What takes the calls that it tells: Drain, GetStreamStats. */
#include "tests/unit/service_harness.h"

#include "export/pprof_model_internal.h"

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

static int any(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

Test(service_drains, what_was_not_acknowledged_comes_again, .init = start)
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
	cr_assert_eq(rpcprof_snapshot(NULL, any, NULL), 0);
}

Test(service_drains, what_waits_is_bounded_and_nothing_is_lost)
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

Test(service_drains, the_latest_drain_goes_on, .init = start)
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

Test(service_drains, an_acknowledgement_of_what_is_not_ours_is_refused, .init = start)
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

Test(service_drains, stream_stats_of_nothing_are_none, .init = start)
{
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 0);
}

Test(service_drains, stream_stats_are_as_grpc_go_has_them, .init = start)
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

Test(service_drains, stream_stats_of_bare_calls_are_safe, .init = start)
{
	for (int i = 0; i < 3; i++)
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_CLIENT));
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 3);
}

Test(service_drains, what_does_not_fit_stays_for_the_next_answer, .init = start)
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

Test(service_drains, what_did_not_arrive_comes_with_the_next_answer, .init = start)
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

static int look_at(struct asked *asked)
{
	return rpcprof_service_next(asked->call, &asked->bytes, &asked->length);
}

/* What a client asks before the server knows that the last answer arrived, or did not. */
static size_t calls_after(bool delivered)
{
	struct asked first = stream_stats(0), second = stream_stats(0);
	go_response *response;
	size_t calls;

	cr_assert(more(&first));
	record_many(10);
	cr_assert_eq(look_at(&second), -EAGAIN);
	rpcprof_service_end(first.call, delivered);
	cr_assert(more(&second));
	response = read_stream_stats(&second);
	assert_safe(response);
	calls = response->n_stream_stats - 1;
	free_stream_stats(response);
	cr_assert_not(more(&second));
	cr_assert_eq(done(&second), 0);
	return calls;
}

Test(service_drains, an_answer_waits_for_the_fate_of_the_one_before, .init = start)
{
	record_many(10);
	cr_assert_eq(calls_after(true), 10);
	record_many(10);
	cr_assert_eq(calls_after(false), 20);
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 0);
}

Test(service_drains, one_answer_of_stream_stats_at_a_time, .init = start)
{
	struct asked first, second;
	uint64_t waited = 0;
	int looked;

	record_many(10);
	first = stream_stats(0);
	cr_assert(more(&first));
	second = stream_stats(0);
	while ((looked = look_at(&second)) == -EAGAIN) /* as if that time had passed */
		waited += rpcprof_service_wait_ns(second.call);
	cr_assert_eq(looked, 0);
	cr_assert_eq(done(&second), 10);
	cr_assert_geq(waited, 5000000000);
	cr_assert_lt(waited, 6000000000);
	rpcprof_service_end(first.call, false);
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 10);
}

Test(service_drains, who_gives_up_waiting_takes_nothing, .init = start)
{
	struct asked first, second;

	record_many(10);
	first = stream_stats(0);
	cr_assert(more(&first));
	second = stream_stats(0);
	cr_assert_eq(look_at(&second), -EAGAIN);
	rpcprof_service_end(second.call, false);
	rpcprof_service_end(first.call, false);
	cr_assert_eq(stream_stats_calls(RPCPROF_ANSWER_MAX_DEFAULT, true), 10);
}
