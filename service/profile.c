/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profile: of the time from now on. Whoever carries the answer calls again and again until it is
 * over, and each time what has ended is collected, so that the ring does not run over.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "export/exporter_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "service/service_internal.h"

#define DURATION_NS_MIN 1000000
#define DURATION_NS_MAX 3600000000000
/* Of pprof in a message; what else is in it takes less than the rest. */
#define PIECE (SERVICE_PIECE_BYTES - 64)

struct profile {
	struct rpcprof_period *period;
	struct rpcprof_pace pace;
	int64_t until_ns; /* monotonic */
	struct rpcprof_profile made; /* bytes NULL: not yet, or no call */
	bool taken;
	size_t sent;
	bool last; /* the last message was given */
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int service_profile_begin(struct rpcprof_service_call *call, const void *message)
{
	const Rpcprof__V1__ProfileRequest *request = message;
	struct rpcprof_config config = {.size = sizeof(config)};
	struct profile *profile;
	int error;

	if (request->duration_ns < DURATION_NS_MIN || request->duration_ns > DURATION_NS_MAX)
		return service_fail(call, SERVICE_INVALID_ARGUMENT,
		                    "duration_ns %" PRIu64 ": it takes 1 ms to 1 hour",
		                    request->duration_ns);
	if (!rpcprof_enabled())
		return service_fail(call, SERVICE_FAILED_PRECONDITION,
		                    "recording is off: Enable it first");
	profile = call->state = calloc(1, sizeof(*profile));
	error = profile == NULL ? -ENOMEM : rpcprof_period_open(&profile->period, RPCPROF_PERIOD_FROM_NOW);
	if (error != 0)
		return service_fail_memory(call);
	(void)rpcprof_get_config(&config);
	rpcprof_pace_open(&profile->pace, config.capacity, now_ns());
	profile->until_ns = now_ns() + (int64_t)request->duration_ns;
	return 0;
}

/* Collects; the time is not over. */
static int wait_more(struct rpcprof_service_call *call, struct profile *profile)
{
	int64_t collected = rpcprof_collector_collect(0);
	int64_t now = now_ns(), left = profile->until_ns - now;
	int64_t wait = rpcprof_pace_next(&profile->pace, collected < 0 ? 0 : (uint64_t)collected,
	                                 now);

	call->wait_ns = (uint64_t)(wait < left ? wait : left > 0 ? left : 0);
	return -EAGAIN;
}

static int take(struct rpcprof_service_call *call, struct profile *profile)
{
	int error = rpcprof_period_take(profile->period, &profile->made);

	if (error == -ESTALE)
		return service_fail(call, SERVICE_ABORTED, "an exporter was started meanwhile, and "
		                    "counts anew; ask again");
	if (error != 0 && error != -ENODATA)
		return service_fail_memory(call);
	profile->taken = true;
	return 1;
}

static int send_piece(struct rpcprof_service_call *call, struct profile *profile)
{
	Rpcprof__V1__ProfileResponse response = RPCPROF__V1__PROFILE_RESPONSE__INIT;
	size_t left = profile->made.length - profile->sent;

	response.pprof.len = left < PIECE ? left : PIECE;
	if (left != 0)
		response.pprof.data = profile->made.bytes + profile->sent;
	if (profile->sent == 0) {
		response.begin_utc_ns = profile->made.begin_ns;
		response.duration_ns = (uint64_t)profile->made.length_ns;
		response.unaggregated = profile->made.unaggregated;
	}
	profile->sent += response.pprof.len;
	profile->last = profile->sent == profile->made.length;
	return service_answer(call, &response.base);
}

int service_profile_next(struct rpcprof_service_call *call)
{
	struct profile *profile = call->state;

	if (profile->last)
		return 0;
	if (now_ns() < profile->until_ns)
		return wait_more(call, profile);
	if (!profile->taken && take(call, profile) == 0)
		return 0;
	return send_piece(call, profile);
}

void service_profile_end(struct rpcprof_service_call *call, bool delivered)
{
	struct profile *profile = call->state;

	(void)delivered;
	if (profile == NULL)
		return;
	rpcprof_period_close(profile->period);
	free(profile->made.bytes);
	free(profile);
}
