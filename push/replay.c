/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outage is replayed backwards, over as long as it lasted: what was t old when the server was
 * last found missing is sent t after that, anywhere within its own length. So the replays of many
 * processes are no denser than their profiles were, and being merged they are far less. Nor is
 * anything replayed for more than a tenth of the time, whatever the link.
 */
#include "push/replay_internal.h"

#include "push/push_internal.h"

#define LOOK_NS 10000000000ll /* how often the spool is looked at for what others left */
#define RESTS 9               /* of the time that sending took */

static int64_t within(int64_t value, int64_t least, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

void rpcprof_replay_between(const struct rpcprof_replay_window *window, int64_t *from_ns,
                            int64_t *to_ns)
{
	int64_t outage = within(window->put_ns - window->oldest_ns, 1, window->max_age_ns);
	/* A tenth is left for what must be sent twice. */
	int64_t left = within(window->max_age_ns / 10 * 9 - outage, 0, window->max_age_ns);
	double pace = left < outage ? (double)left / (double)outage : 1;
	int64_t end = within(window->put_ns - window->end_ns, 0, outage);
	int64_t begin = within(window->put_ns - window->begin_ns, end, outage);

	*from_ns = window->put_ns + (int64_t)((double)end * pace);
	*to_ns = window->put_ns + (int64_t)((double)begin * pace);
}

/* No larger than what half the time of a request is enough for: a session that came whole would
 * else be cut for ever once it is merged. */
static void begin_merge(const struct rpcprof_push *push, struct rpcprof_merge *merge)
{
	double sent_max = push->sent_per_ns * (double)push->timeout_ns / 2;

	*merge = (struct rpcprof_merge){.limits = push->limits, .sent_max = push->limits.bytes};
	if (sent_max < (double)merge->sent_max)
		merge->sent_max = (size_t)sent_max;
}

/* Sets when the next one is due; false: there is none. Not under the lock. */
static bool plan(struct rpcprof_push *push)
{
	struct rpcprof_spool_times times;
	struct rpcprof_merge merge;
	int64_t from, to, wait;

	begin_merge(push, &merge);
	if (!rpcprof_spool_look(&push->spool, &merge, &times))
		return false;
	rpcprof_replay_between(
		&(struct rpcprof_replay_window){
			.begin_ns = merge.begin_ns, .end_ns = merge.end_ns,
			.oldest_ns = times.begin_ns, .put_ns = times.put_ns,
			.max_age_ns = push->max_age_ns},
		&from, &to);
	rpcprof_waiting_free_all(rpcprof_merge_end(&merge));
	wait = from + rpcprof_push_random(to - from) - rpcprof_push_utc_ns();
	push->replay_at_ns =
		rpcprof_push_monotonic_ns() + within(wait, 0, push->max_age_ns);
	if (push->replay_at_ns < push->replay_rest_ns)
		push->replay_at_ns = push->replay_rest_ns;
	return true;
}

/* Sends the first; those that could not be merged with it go back. Under the lock. */
static void forward(struct rpcprof_push *push, struct rpcprof_waiting *part, size_t count)
{
	int64_t begin = rpcprof_push_monotonic_ns();
	struct rpcprof_waiting *next = part->next;

	part->number = UINT64_MAX; /* no flush waits for it */
	if (next == NULL) {
		push->stats.unspooled += count;
		push->stats.merged += count - 1;
	} else {
		push->stats.unspooled++;
	}
	rpcprof_push_forward(push, part);
	while ((part = next) != NULL) {
		next = part->next;
		push->stats.unspooled++;
		rpcprof_push_put_aside(push, part, &push->stats.dropped_full);
	}
	push->replay_rest_ns = rpcprof_push_monotonic_ns();
	push->replay_rest_ns += RESTS * (push->replay_rest_ns - begin);
}

static void take(struct rpcprof_push *push)
{
	struct rpcprof_spool_losses losses = {0, 0};
	struct rpcprof_waiting *parts = NULL;
	struct rpcprof_merge merge;
	size_t count = 0;

	begin_merge(push, &merge);
	pthread_mutex_unlock(&push->lock);
	if (rpcprof_spool_take(&push->spool, rpcprof_push_utc_ns(), &merge, &losses)) {
		count = merge.count;
		parts = rpcprof_merge_end(&merge);
	}
	pthread_mutex_lock(&push->lock);
	push->stats.spool_damaged += losses.damaged;
	push->stats.spool_pruned += losses.pruned;
	if (parts != NULL)
		forward(push, parts, count);
}

int64_t rpcprof_push_replay(struct rpcprof_push *push)
{
	int64_t now = rpcprof_push_monotonic_ns();

	if (push->replay_at_ns == 0) {
		bool any;

		pthread_mutex_unlock(&push->lock);
		any = plan(push);
		pthread_mutex_lock(&push->lock);
		return any ? push->replay_at_ns : now + LOOK_NS;
	}
	if (now < push->replay_at_ns)
		return push->replay_at_ns;
	push->replay_at_ns = 0;
	take(push);
	return now;
}
