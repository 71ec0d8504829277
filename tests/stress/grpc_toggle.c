/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch goes on and off at random points while calls run between two client threads and two
 * server threads; some are cancelled. Every tag that comes back is the one that was given; every
 * Stat that began is finished; nothing is left under way.
 */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../unit/grpc_loop.h"

#define SECONDS 3
#define THREADS 2
#define WINDOW 8

static grpc_server *server;
static grpc_channel *channel;
static grpc_completion_queue *server_queue;
static bool over;
static uint64_t calls, recorded_at_begin, served;

struct tag {
	uint64_t magic; /* recognises a tag of ours without any list */
	struct peer *peer;
};
#define MAGIC 0x7461672d6d616769u

/* One call of either side. */
struct peer {
	struct tag tag[4];
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata, trailers;
	grpc_status_code status;
	grpc_slice text;
	unsigned left;
	int cancelled;
	bool cancel, requested;
};

static void peer_init(struct peer *p)
{
	memset(p, 0, sizeof(*p));
	for (unsigned i = 0; i < 4; i++) {
		p->tag[i].peer = p;
	}
	p->text = grpc_empty_slice();
	grpc_call_details_init(&p->details);
	grpc_metadata_array_init(&p->metadata);
	grpc_metadata_array_init(&p->trailers);
}

static void peer_free(struct peer *p)
{
	if (p->call)
		rpcprof_grpc_call_unref(p->call);
	grpc_slice_unref(p->text);
	grpc_call_details_destroy(&p->details);
	grpc_metadata_array_destroy(&p->metadata);
	grpc_metadata_array_destroy(&p->trailers);
	free(p);
}

static struct peer *peer_of(grpc_event event)
{
	struct tag *tag = event.tag;

	assert(event.type == GRPC_OP_COMPLETE);
	assert(__atomic_load_n(&tag->magic, __ATOMIC_ACQUIRE) == MAGIC);
	assert(__atomic_load_n(&tag->peer->left, __ATOMIC_RELAXED) > 0);
	return tag->peer;
}

static void start(struct peer *p, unsigned tag, const grpc_op *ops, size_t nops)
{
	grpc_call_error error;

	__atomic_store_n(&p->tag[tag].magic, MAGIC, __ATOMIC_RELEASE);
	error = rpcprof_grpc_call_start_batch(p->call, ops, nops, &p->tag[tag], NULL);
	assert(error == GRPC_CALL_OK);
}

static void request(void)
{
	struct peer *p = malloc(sizeof(*p));

	peer_init(p);
	p->left = 1;
	p->requested = true;
	__atomic_store_n(&p->tag[0].magic, MAGIC, __ATOMIC_RELEASE);
	rpcprof_grpc_server_request_call(server, &p->call, &p->details, &p->metadata, server_queue,
	                                 server_queue, &p->tag[0]);
}

static void answer(struct peer *p)
{
	grpc_op ops[2];

	p->left = 2;
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	ops[0].data.recv_close_on_server.cancelled = &p->cancelled;
	start(p, 1, ops, 1);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	start(p, 2, ops, 2);
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		grpc_event event = rpcprof_grpc_completion_queue_next(
			server_queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
		struct peer *p;

		if (event.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (event.tag == &server)
			continue;
		p = peer_of(event);
		if (p->requested && event.success) {
			p->requested = false;
			__atomic_add_fetch(&served, 1, __ATOMIC_RELAXED);
			request();
			answer(p);
		} else if (p->requested || __atomic_sub_fetch(&p->left, 1, __ATOMIC_ACQ_REL) == 0) {
			peer_free(p);
		}
	}
}

static void call(grpc_completion_queue *queue, unsigned *seed)
{
	struct peer *p = malloc(sizeof(*p));
	grpc_op ops[2];

	peer_init(p);
	p->call = rpcprof_grpc_channel_create_call(channel, NULL, 0, queue,
	                                           grpc_slice_from_static_string(METHOD), NULL,
	                                           loop_in_ms(20000), NULL);
	if (!rpcprof_stat_is_null(rpcprof_grpc_call_stat(p->call)))
		__atomic_add_fetch(&recorded_at_begin, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	p->left = 3;
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[1].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	start(p, 0, ops, 2);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[0].data.recv_initial_metadata.recv_initial_metadata = &p->metadata;
	start(p, 1, ops, 1);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	ops[0].data.recv_status_on_client.trailing_metadata = &p->trailers;
	ops[0].data.recv_status_on_client.status = &p->status;
	ops[0].data.recv_status_on_client.status_details = &p->text;
	start(p, 2, ops, 1);
	if (rand_r(seed) % 16 == 0)
		grpc_call_cancel(p->call, NULL);
}

static void *client(void *arg)
{
	grpc_completion_queue *queue = rpcprof_grpc_completion_queue_create_for_next(NULL);
	unsigned seed = (unsigned)(uintptr_t)arg, under_way = 0;

	while (!__atomic_load_n(&over, __ATOMIC_RELAXED) || under_way > 0) {
		while (under_way < WINDOW && !__atomic_load_n(&over, __ATOMIC_RELAXED)) {
			call(queue, &seed);
			under_way++;
		}
		if (under_way > 0) {
			struct peer *p = peer_of(rpcprof_grpc_completion_queue_next(
				queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL));

			if (--p->left == 0) {
				peer_free(p);
				under_way--;
			}
		}
	}
	grpc_completion_queue_shutdown(queue);
	while (rpcprof_grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
	               .type != GRPC_QUEUE_SHUTDOWN)
		;
	rpcprof_grpc_completion_queue_destroy(queue);
	return NULL;
}

static void open_both(void)
{
	grpc_server_credentials *server_credentials = grpc_insecure_server_credentials_create();
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
	char address[32];
	int port;

	server_queue = rpcprof_grpc_completion_queue_create_for_next(NULL);
	server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(server, server_queue, NULL);
	port = grpc_server_add_http2_port(server, "127.0.0.1:0", server_credentials);
	assert(port > 0);
	grpc_server_start(server);
	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	channel = grpc_channel_create(address, credentials, NULL);
	grpc_server_credentials_release(server_credentials);
	grpc_channel_credentials_release(credentials);
}

static void toggle(void)
{
	unsigned seed = 1;
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += SECONDS;
	do {
		rpcprof_enable(rand_r(&seed) % 2 == 0);
		usleep((unsigned)rand_r(&seed) % 300);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
}

static int count_side(void *arg, const struct rpcprof_view *view)
{
	uint64_t *sides = arg;

	assert(rpcprof_view_end(view) != 0);
	assert(rpcprof_view_has(view, RPCPROF_HAS_STATUS));
	sides[rpcprof_view_side(view) == RPCPROF_TAG_SERVER]++;
	return 0;
}

int main(void)
{
	struct rpcprof_config config = { .size = sizeof(config), .capacity = 1 << 19 };
	struct rpcprof_grpc_counters counters;
	struct rpcprof_counters totals;
	pthread_t servers[THREADS], clients[THREADS];
	uint64_t sides[2] = { 0, 0 };

	assert(rpcprof_init(&config) == 0);
	rpcprof_grpc_method_declare(METHOD);
	grpc_init();
	open_both();
	for (unsigned i = 0; i < 16; i++)
		request();
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_create(&servers[i], NULL, serve, NULL);
		pthread_create(&clients[i], NULL, client, (void *)(i + 1));
	}
	toggle();
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(clients[i], NULL);
	grpc_channel_destroy(channel);
	grpc_server_shutdown_and_notify(server, server_queue, &server);
	while (rpcprof_grpc_counters_get(&counters), counters.under_way != 0)
		usleep(1000);
	grpc_completion_queue_shutdown(server_queue);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(servers[i], NULL);
	grpc_server_destroy(server);
	rpcprof_grpc_completion_queue_destroy(server_queue);
	grpc_shutdown();

	rpcprof_counters_get(&totals);
	rpcprof_drain(count_side, sides);
	printf("%lu calls, %lu served; recorded: %lu client, %lu server; discarded %lu\n",
	       (unsigned long)calls, (unsigned long)served, (unsigned long)sides[0],
	       (unsigned long)sides[1], (unsigned long)totals.discarded);
	assert(sides[0] == recorded_at_begin);
	assert(sides[0] + sides[1] == totals.pushed && totals.displaced == 0);
	assert(totals.discarded == 0 && totals.late == 0 && totals.double_ends == 0);
	assert(sides[0] > 0 && sides[1] > 0 && sides[0] < calls);
	assert(seen_in_flight() == 0);
	assert(counters.stale == 0 && counters.plain_batches == 0 && counters.no_record == 0);
	return 0;
}
