/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ?consumer=NAME: what came since that name came last. Names are few, and kept for a time, since
 * each has a copy of all sums; a name that comes back later begins anew, for if it went on from the
 * process's start it would count twice.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pull/pull_internal.h"

int64_t pull_idle_ns = 3600 * 1000000000ll;

static void forget(struct pull *pull, struct pull_consumer *consumer)
{
	rpcprof_period_close(consumer->period);
	*consumer = (struct pull_consumer){.name = ""};
	pull_count(pull, &pull->stats.consumers, -1);
}

static struct pull_consumer *find(struct pull *pull, const char *name)
{
	for (size_t i = 0; i < PULL_CONSUMERS_MAX; i++)
		if (strcmp(pull->consumers[i].name, name) == 0)
			return &pull->consumers[i];
	return NULL;
}

static void forget_idle(struct pull *pull)
{
	int64_t before = pull_now_ns() - pull_idle_ns;

	for (size_t i = 0; i < PULL_CONSUMERS_MAX; i++) {
		struct pull_consumer *consumer = &pull->consumers[i];

		if (consumer->period != NULL && !consumer->busy && consumer->seen_ns < before)
			forget(pull, consumer);
	}
}

static struct pull_consumer *add(struct pull_request *request, const char *name)
{
	struct pull *pull = request->pull;
	struct pull_consumer *consumer = find(pull, "");
	int error;

	if (consumer == NULL) {
		pull_say(&request->answer, MHD_HTTP_SERVICE_UNAVAILABLE,
		         "there are %d consumers, and none was idle for an hour: use one of their "
		         "names, or /debug/pprof/rpc?seconds=N\n", PULL_CONSUMERS_MAX);
		return NULL;
	}
	error = rpcprof_period_open(&consumer->period, RPCPROF_PERIOD_FROM_NOW);
	if (error != 0) {
		pull_give(&request->answer, error, NULL);
		return NULL;
	}
	snprintf(consumer->name, sizeof(consumer->name), "%s", name);
	pull_count(pull, &pull->stats.consumers, 1);
	return consumer;
}

static bool is_name(const char *name)
{
	static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789._:/-";
	size_t length = name != NULL ? strspn(name, characters) : 0;

	return length > 0 && length < sizeof(((struct pull_consumer *)0)->name) &&
	       name[length] == '\0';
}

static int take(struct pull_consumer *consumer, struct rpcprof_profile *profile)
{
	int error = rpcprof_period_take(consumer->period, profile);

	return error == -ENODATA ? rpcprof_period_make(consumer->period, profile) : error;
}

/* Gone with the aggregate that it read: it begins anew in that of now. */
static int take_anew(struct pull_consumer *consumer, struct rpcprof_profile *profile)
{
	struct rpcprof_period *fresh;
	int error = rpcprof_period_open(&fresh, RPCPROF_PERIOD_FROM_NOW);

	if (error != 0)
		return error;
	rpcprof_period_close(consumer->period);
	consumer->period = fresh;
	return take(consumer, profile);
}

static void answer(struct pull_request *request, struct pull_consumer *consumer)
{
	struct rpcprof_profile *profile = &request->profile;
	int error = take(consumer, profile);

	if (error == -ESTALE)
		error = take_anew(consumer, profile);
	if (error == 0) {
		consumer->busy = true;
		request->consumer = consumer;
	}
	consumer->seen_ns = pull_now_ns();
	pull_give(&request->answer, error, profile);
}

void pull_consumer_ask(struct pull_request *request)
{
	const char *name = pull_argument(request, "consumer");
	struct pull_consumer *consumer;

	if (!is_name(name)) {
		pull_say(&request->answer, MHD_HTTP_BAD_REQUEST,
		         "who asks? Add ?consumer=NAME, for each scraper one of its own: letters, "
		         "digits and ._:/- , at most 63. Or ask /debug/pprof/rpc?seconds=N\n");
		return;
	}
	forget_idle(request->pull);
	consumer = find(request->pull, name);
	if (consumer == NULL)
		consumer = add(request, name);
	if (consumer == NULL)
		return;
	if (consumer->busy)
		pull_say(&request->answer, MHD_HTTP_CONFLICT,
		         "consumer %s is being answered: each scraper takes a name of its own\n",
		         name);
	else
		answer(request, consumer);
}

void pull_consumer_done(struct pull_request *request, bool arrived)
{
	if (!arrived)
		rpcprof_period_undo(request->consumer->period, &request->profile);
	request->consumer->busy = false;
}

void pull_consumers_close(struct pull *pull)
{
	for (size_t i = 0; i < PULL_CONSUMERS_MAX; i++)
		if (pull->consumers[i].period != NULL)
			forget(pull, &pull->consumers[i]);
}
