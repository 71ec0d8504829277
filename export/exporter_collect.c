/* SPDX-License-Identifier: Apache-2.0 */
#include "export/exporter_internal.h"
#include "export/waits_internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "rpcprof/control.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rpcprof_aggregate *aggregate; /* replaced under the lock and the profiles' */
static uint64_t epoch; /* of the aggregate */
static unsigned users; /* who collect again and again */
static int64_t collected_ns; /* monotonic: when somebody did last */
static uint64_t unaggregated_before; /* displaced before anyone collected */

/* What the callbacks of one collection need. */
struct collection {
	struct rpcprof_clock_map map;
	uint64_t until;
};

static int add(void *arg, const struct rpcprof_view *view)
{
	const struct collection *collection = arg;

	rpcprof_aggregate_add(aggregate, view, &collection->map);
	return 0;
}

static int charge(void *arg, const struct rpcprof_view *view)
{
	const struct collection *collection = arg;

	rpcprof_aggregate_charge(aggregate, view, &collection->map, collection->until);
	return 0;
}

/* In flight first: what ends in between is then collected, and in both is told by its id. */
static int64_t collect(uint64_t in_flight_until)
{
	struct collection collection = {.until = in_flight_until};
	int64_t status = rpcprof_clock_map_get(&collection.map);

	if (status < 0)
		return status;
	aggregate->rates = rpcprof_wait_rates();
	if (in_flight_until != 0) {
		rpcprof_aggregate_round_begin(aggregate);
		status = rpcprof_inflight(NULL, charge, &collection);
	}
	return status < 0 ? status : rpcprof_collect(add, &collection);
}

/* The first collection ever begins to count what is displaced uncollected; what was displaced
 * before it is in no profile either. */
static int64_t first_collect(void)
{
	int64_t status = collect(0);
	struct rpcprof_counters counters;

	if (status >= 0 && rpcprof_counters_get(&counters) == 0)
		unaggregated_before = counters.displaced - counters.unaggregated;
	return status;
}

static bool same_options(const struct rpcprof_aggregate_options *options)
{
	const struct rpcprof_aggregate_options *now = &aggregate->options;

	return now->bytes == options->bytes && now->by_status == options->by_status &&
	       now->by_method == options->by_method && now->key_count == options->key_count &&
	       memcmp(now->keys, options->keys, sizeof(now->keys)) == 0;
}

/* In place of the aggregate there was, if any. The first collection goes to it. */
static int replace(const struct rpcprof_aggregate_options *options)
{
	struct rpcprof_config config = {.size = sizeof(config)};
	int status = rpcprof_get_config(&config);
	struct rpcprof_aggregate *fresh, *old = aggregate;

	if (status < 0)
		return status;
	fresh = rpcprof_aggregate_open(options, config.max_in_flight);
	if (fresh == NULL)
		return -ENOMEM;
	aggregate = fresh;
	epoch++;
	if (old == NULL)
		return first_collect() < 0 ? -ENODEV : 0;
	rpcprof_aggregate_close(old);
	return 0;
}

int rpcprof_collector_open(const struct rpcprof_aggregate_options *options)
{
	int status = 0;

	pthread_mutex_lock(&lock);
	if (aggregate == NULL || !same_options(options))
		status = replace(options);
	pthread_mutex_unlock(&lock);
	return status;
}

bool rpcprof_collector_is_open(void)
{
	bool open;

	pthread_mutex_lock(&lock);
	open = aggregate != NULL;
	pthread_mutex_unlock(&lock);
	return open;
}

const struct rpcprof_aggregate *rpcprof_collector_aggregate(void)
{
	const struct rpcprof_aggregate *current;

	pthread_mutex_lock(&lock);
	current = aggregate;
	pthread_mutex_unlock(&lock);
	return current;
}

uint64_t rpcprof_collector_epoch(void)
{
	uint64_t current;

	pthread_mutex_lock(&lock);
	current = epoch;
	pthread_mutex_unlock(&lock);
	return current;
}

void rpcprof_collector_begin(void)
{
	pthread_mutex_lock(&lock);
	users++;
	pthread_mutex_unlock(&lock);
}

void rpcprof_collector_end(void)
{
	pthread_mutex_lock(&lock);
	if (--users == 0)
		rpcprof_collect_stop();
	pthread_mutex_unlock(&lock);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t rpcprof_collector_collect(uint64_t in_flight_until)
{
	int64_t status;

	pthread_mutex_lock(&lock);
	status = collect(in_flight_until);
	collected_ns = monotonic_ns();
	pthread_mutex_unlock(&lock);
	return status;
}

int64_t rpcprof_collector_collected_ns(void)
{
	int64_t last;

	pthread_mutex_lock(&lock);
	last = collected_ns;
	pthread_mutex_unlock(&lock);
	return last;
}

static uint64_t unaggregated(void)
{
	struct rpcprof_counters counters = {0};

	(void)rpcprof_counters_get(&counters);
	return unaggregated_before + counters.unaggregated;
}

uint64_t rpcprof_collector_unaggregated(void)
{
	uint64_t total;

	pthread_mutex_lock(&lock);
	total = unaggregated();
	pthread_mutex_unlock(&lock);
	return total;
}

bool rpcprof_collector_take(struct rpcprof_reader *reader, int64_t begin_ns, int64_t end_ns,
                            struct rpcprof_profile *profile)
{
	bool some;

	pthread_mutex_lock(&lock);
	some = rpcprof_reader_take(reader, aggregate, unaggregated(), begin_ns, end_ns, profile);
	pthread_mutex_unlock(&lock);
	return some;
}

void rpcprof_collector_totals(struct rpcprof_aggregate_totals *totals)
{
	memset(totals, 0, sizeof(*totals));
	pthread_mutex_lock(&lock);
	if (aggregate != NULL)
		*totals = aggregate->totals;
	pthread_mutex_unlock(&lock);
}

const struct rpcprof_aggregate *rpcprof_collector_lock(void)
{
	pthread_mutex_lock(&lock);
	return aggregate;
}

void rpcprof_collector_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void rpcprof_collector_forget(void)
{
	struct rpcprof_aggregate *parents = aggregate;

	pthread_mutex_init(&lock, NULL); /* a thread that is not here may have held it */
	aggregate = NULL;
	epoch++;
	users = 0;
	unaggregated_before = 0;
	rpcprof_aggregate_close(parents);
}
