/* SPDX-License-Identifier: Apache-2.0 */
/* Who is let in, the limits, hostile bytes, the switch. */
#include "tests/unit/service_harness.h"

#include <sys/wait.h>

#include "service/service_internal.h"

static const char read_token[] = "the-token-to-read-with";
static const char control_token[] = "the-token-to-control-with";
static const struct rpcprof_tokens tokens = {read_token, control_token};

static int32_t ask_as(uint32_t permission, const char *method)
{
	struct asked asked = ask_bytes(method, permission, "", 0, 0);

	while (more(&asked))
		;
	return done(&asked);
}

Test(service, before_init_it_says_so)
{
	cr_assert_eq(ask_as(RPCPROF_MAY_CONTROL, OURS "Status"), 9);
}

Test(service, a_method_that_is_not_there_is_unimplemented, .init = start)
{
	cr_assert_eq(ask_as(RPCPROF_MAY_CONTROL, OURS "Nothing"), 12);
	cr_assert_eq(ask_as(RPCPROF_MAY_CONTROL, ""), 12);
	cr_assert_eq(ask_as(RPCPROF_MAY_CONTROL, OURS "StatusX"), 12);
	cr_assert_eq(ask_as(RPCPROF_MAY_CONTROL, OURS "Statu"), 12);
}

Test(service, a_stranger_is_told_nothing_and_counted, .init = start)
{
	Rpcprof__V1__StatusResponse *status;

	for (size_t i = 0; rpcprof_service_method(i) != NULL; i++)
		cr_assert_eq(ask_as(RPCPROF_MAY_NOTHING, rpcprof_service_method(i)), 16);
	cr_assert_eq(ask_as(RPCPROF_MAY_NOTHING, "/no.Such/Method"), 16);
	status = ask_status();
	cr_assert_eq(status->requests->unauthenticated, 9);
	rpcprof__v1__status_response__free_unpacked(status, NULL);
}

Test(service, who_may_read_may_not_control, .init = start)
{
	static const char *const to_control[] = {OURS "Enable", OURS "Drain", GO "Enable",
	                                         GO "GetStreamStats"};

	record_many(1);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(ask_as(RPCPROF_MAY_READ, to_control[i]), 7);
	cr_assert(rpcprof_enabled());
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "Status"), 0);
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "Snapshot"), 0);
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "InFlight"), 0);
}

static enum rpcprof_permission of_peer(const struct rpcprof_tokens *some, const char *address,
                                       const char *token, bool encrypted)
{
	struct rpcprof_peer peer = {.address = address, .token = token, .encrypted = encrypted};

	peer.token_bytes = token != NULL ? strlen(token) : 0;
	return rpcprof_peer_check(some, &peer);
}

Test(service, who_comes_from_where)
{
	static const char *const local[] = {"unix:", "unix-abstract:x", "ipv4:127.0.0.1:5",
	                                    "ipv6:[::1]:5", "ipv6:%5B::1%5D:5",
	                                    "ipv6:[::ffff:127.0.0.1]:5"};
	static const char *const remote[] = {"ipv4:12.7.0.1:5", "ipv6:[::2]:5", "ipv4:128.0.0.1:1", ""};
	static const struct rpcprof_tokens none = {NULL, NULL};

	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		cr_assert_eq(of_peer(&none, local[i], NULL, false), RPCPROF_MAY_CONTROL);
		cr_assert_eq(of_peer(&tokens, local[i], NULL, false), RPCPROF_MAY_NOTHING);
		cr_assert_eq(of_peer(&tokens, local[i], read_token, false), RPCPROF_MAY_READ);
	}
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++) {
		cr_assert_eq(of_peer(&none, remote[i], NULL, true), RPCPROF_MAY_NOTHING);
		cr_assert_eq(of_peer(&tokens, remote[i], NULL, true), RPCPROF_MAY_NOTHING);
		cr_assert_eq(of_peer(&tokens, remote[i], control_token, false),
		             RPCPROF_MAY_NOTHING);
		cr_assert_eq(of_peer(&tokens, remote[i], control_token, true),
		             RPCPROF_MAY_CONTROL);
	}
}

Test(service, a_bearers_token)
{
	static const char value[] = "bearer a b";
	size_t bytes = sizeof(value) - 1;

	cr_assert_eq(rpcprof_bearer_token(value, &bytes), value + 7);
	cr_assert_eq(bytes, 3);
	bytes = 6;
	cr_assert_null(rpcprof_bearer_token(value, &bytes));
	cr_assert_eq(bytes, 6);
	bytes = 9;
	cr_assert_null(rpcprof_bearer_token("Basic a b", &bytes));
}

Test(service, tokens_say_who_one_is)
{
	static const struct rpcprof_tokens none = {NULL, NULL}, brief = {"short", "short"};
	char longer[400];

	memset(longer, 'x', sizeof(longer));
	cr_assert_eq(rpcprof_tokens_check(&tokens, read_token, strlen(read_token)),
	             RPCPROF_MAY_READ);
	cr_assert_eq(rpcprof_tokens_check(&tokens, control_token, strlen(control_token)),
	             RPCPROF_MAY_CONTROL);
	cr_assert_eq(rpcprof_tokens_check(&tokens, NULL, 0), RPCPROF_MAY_NOTHING);
	cr_assert_eq(rpcprof_tokens_check(&tokens, "", 0), RPCPROF_MAY_NOTHING);
	cr_assert_eq(rpcprof_tokens_check(&tokens, read_token, strlen(read_token) - 1),
	             RPCPROF_MAY_NOTHING);
	cr_assert_eq(rpcprof_tokens_check(&tokens, read_token, sizeof(read_token)),
	             RPCPROF_MAY_NOTHING); /* with its NUL */
	cr_assert_eq(rpcprof_tokens_check(&tokens, longer, sizeof(longer)), RPCPROF_MAY_NOTHING);
	cr_assert_eq(rpcprof_tokens_check(&none, "", 0), RPCPROF_MAY_NOTHING);
	cr_assert_eq(rpcprof_tokens_check(&brief, "short", 5), RPCPROF_MAY_NOTHING);
}

Test(service, bytes_that_are_no_request_are_an_invalid_argument, .init = start)
{
	static const char truncated[] = "\x0a\x7f"; /* a field of 127 bytes that are not there */
	static const char *const with_fields[] = {OURS "Enable", OURS "Snapshot", GO "Enable",
	                                          GO "GetStreamStats"};

	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(refused(ask_bytes(with_fields[i], RPCPROF_MAY_CONTROL, truncated, 2,
		                               0)), 3);
	cr_assert_eq(ask_as(RPCPROF_MAY_CONTROL, OURS "Status"), 0);
}

/* Any status will do, but it must have one, and the service must go on. */
Test(service, no_bytes_do_harm, .init = start)
{
	uint8_t bytes[64];
	unsigned seed = 1;

	service_per_second = UINT32_MAX;
	record_many(100);
	for (int round = 0; round < 20000; round++) {
		size_t length = (size_t)rand_r(&seed) % sizeof(bytes);
		const char *method = rpcprof_service_method((size_t)round % 8);
		struct asked asked;

		if (strcmp(method, OURS "Profile") == 0)
			continue; /* may last an hour */
		for (size_t i = 0; i < length; i++)
			bytes[i] = (uint8_t)rand_r(&seed) & 0x3f;
		asked = ask_bytes(method, RPCPROF_MAY_CONTROL, bytes, length, 0);
		while (more(&asked))
			;
		done(&asked);
	}
}

Test(service, a_large_request_is_refused, .init = start)
{
	char *bytes = calloc(1, 16385);

	cr_assert_eq(refused(ask_bytes(OURS "Status", RPCPROF_MAY_READ, bytes, 16385, 0)), 8);
	free(bytes);
}

Test(service, so_many_at_a_time_and_no_more, .init = start)
{
	struct asked asked[16];

	for (int i = 0; i < 16; i++)
		asked[i] = ask_bytes(OURS "Snapshot", RPCPROF_MAY_READ, "", 0, 0);
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "Status"), 8);
	rpcprof_service_end(asked[0].call, false);
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "Status"), 0);
	for (int i = 1; i < 16; i++)
		rpcprof_service_end(asked[i].call, false);
}

Test(service, a_flood_is_refused_and_passes, .init = start)
{
	int refusals = 0;

	/* In 300 requests there are more than 100 of one second, or they took three. */
	for (int i = 0; i < 300; i++)
		refusals += ask_as(RPCPROF_MAY_READ, OURS "Status") == 8;
	cr_assert_gt(refusals, 0);
	sleep(1);
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "Status"), 0);
	/* Strangers use nothing up. */
	for (int i = 0; i < 300; i++)
		cr_assert_eq(ask_as(RPCPROF_MAY_NOTHING, OURS "Status"), 16);
	cr_assert_eq(ask_as(RPCPROF_MAY_READ, OURS "Status"), 0);
}

Test(service, an_answer_smaller_than_the_least_is_not_taken)
{
	struct rpcprof_service_request request = {.size = sizeof(request),
	                                          .method = OURS "Status",
	                                          .method_bytes = strlen(OURS "Status"),
	                                          .answer_max = RPCPROF_ANSWER_MAX_LEAST - 1};
	struct rpcprof_service_call *call = NULL;

	cr_assert_eq(rpcprof_service_begin(&call, &request), -EINVAL);
	request.answer_max = 0;
	request.size = 1;
	cr_assert_eq(rpcprof_service_begin(&call, &request), -EINVAL);
	cr_assert_null(call);
}

static int32_t enable(bool on, uint64_t duration_ns, bool *was)
{
	Rpcprof__V1__EnableRequest request = RPCPROF__V1__ENABLE_REQUEST__INIT;
	Rpcprof__V1__EnableResponse *response;
	struct asked asked;

	request.enabled = on;
	request.duration_ns = duration_ns;
	asked = ask(OURS "Enable", &request.base);
	if (more(&asked)) {
		response = rpcprof__v1__enable_response__unpack(NULL, asked.length, asked.bytes);
		*was = response->was_enabled;
		rpcprof__v1__enable_response__free_unpacked(response, NULL);
	}
	return done(&asked);
}

Test(service, the_switch_goes_on_and_off, .init = start)
{
	bool was = false;

	cr_assert_eq(enable(false, 0, &was), 0);
	cr_assert(was);
	cr_assert_not(rpcprof_enabled());
	cr_assert_eq(enable(true, 0, &was), 0);
	cr_assert_not(was);
	cr_assert(rpcprof_enabled());
}

static uint64_t off_in_ns(void)
{
	Rpcprof__V1__StatusResponse *status = ask_status();
	uint64_t ns = status->off_in_ns;

	rpcprof__v1__status_response__free_unpacked(status, NULL);
	return ns;
}

Test(service, recording_for_a_time_ends_by_itself, .init = start, .timeout = 60)
{
	bool was;

	rpcprof_enable(false);
	cr_assert_eq(enable(true, 50000000, &was), 0);
	while (rpcprof_enabled())
		usleep(1000);
	cr_assert_eq(off_in_ns(), 0);
	/* And again, by the same thread. */
	cr_assert_eq(enable(true, 50000000, &was), 0);
	while (rpcprof_enabled())
		usleep(1000);
	rpcprof_fini();
	cr_assert_eq(enable(true, 50000000, &was), 9);
}

Test(service, a_later_enable_takes_the_place_of_one_for_a_time, .init = start)
{
	bool was;

	cr_assert_eq(enable(true, 100000000, &was), 0);
	cr_assert_gt(off_in_ns(), 0);
	cr_assert_eq(enable(true, 0, &was), 0);
	cr_assert_eq(off_in_ns(), 0);
	usleep(300000);
	cr_assert(rpcprof_enabled());
	rpcprof_fini();
}

Test(service, in_a_child_nothing_of_the_parents_goes_on, .init = start)
{
	struct asked asked[16];
	bool was;
	int status;
	pid_t child;

#ifdef RPCPROF_TSAN_
	return; /* TSan allows no thread in the child of a process of several */
#endif
	cr_assert_eq(enable(true, 3600000000000, &was), 0);
	for (int i = 0; i < 16; i++)
		asked[i] = ask_bytes(OURS "Snapshot", RPCPROF_MAY_READ, "", 0, 0);
	child = fork();
	if (child == 0) { /* not on for ever: the thread that would end it is not here */
		bool good = !rpcprof_enabled() && off_in_ns() == 0;

		good = good && enable(true, 3600000000000, &was) == 0 && off_in_ns() != 0;
		_exit(good ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert(rpcprof_enabled());
	for (int i = 0; i < 16; i++)
		rpcprof_service_end(asked[i].call, false);
	cr_assert_gt(off_in_ns(), 0);
	rpcprof_fini();
}

Test(service, a_time_that_makes_no_sense_is_refused, .init = start)
{
	bool was;

	cr_assert_eq(enable(true, 7 * UINT64_C(86400000000000) + 1, &was), 3);
	cr_assert_eq(enable(false, 1, &was), 3);
	cr_assert(rpcprof_enabled());
	cr_assert_eq(off_in_ns(), 0);
}

Test(service, status_tells_of_the_process, .init = start)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	Rpcprof__V1__StatusResponse *status;

	record_many(3);
	status = ask_status();
	cr_assert_str_eq(status->version, rpcprof_version());
	cr_assert_eq(status->header->pid, getpid());
	cr_assert_eq(status->header->enabled, 1);
	cr_assert_eq(status->header->counters->recorded, 3);
	cr_assert_eq(status->capacity, 16384);
	cr_assert_eq(status->in_flight, 1);
	cr_assert_eq(status->requests->begun, 1);
	rpcprof__v1__status_response__free_unpacked(status, NULL);
	rpcprof_stat_end(stat);
}
