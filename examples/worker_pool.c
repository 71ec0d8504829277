/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server with a pool of workers: one thread takes events, three do the work. How long a call
 * waits for a free worker is its stage /queue, begun on one thread and ended on another.
 *
 * It has a struct per call, so it embeds rpcprof's instead of using wrapped calls. 40 clients'
 * calls on loopback, then the last of them, and it ends.
 */
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <rpcprof/dump.h>
#include <rpcprof/grpc_call.h>
#include <rpcprof/rpcprof.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "greeter.h"

#define WORKERS 3
#define CLIENTS 4
#define CALLS_EACH 10

/* A tag: what came back, of which job. */
struct step {
	void (*done)(struct step *step, bool success);
	struct job *job;
	struct rpcprof_grpc_batch batch;
};

struct job {
	struct rpcprof_grpc_call profile;
	struct rpcprof_timer queued;
	struct job *next;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *payload;
	int cancelled;
	unsigned holds; /* steps under way, and the worker */
	struct step request, receive, reply, close;
};

static grpc_server *server;
static grpc_completion_queue *queue;
static unsigned jobs; /* under way; the event thread makes them, any thread frees them */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, **last;
	bool over;
} pool = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &pool.first, false };

static void request_job(void);

static void drop(struct job *job)
{
	if (__atomic_sub_fetch(&job->holds, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (job->call) {
		rpcprof_grpc_end(&job->profile);
		grpc_call_unref(job->call);
	}
	grpc_byte_buffer_destroy(job->payload);
	grpc_call_details_destroy(&job->details);
	grpc_metadata_array_destroy(&job->metadata);
	free(job);
	__atomic_sub_fetch(&jobs, 1, __ATOMIC_RELEASE);
}

static void start(struct step *step, const grpc_op *ops, size_t nops)
{
	struct job *job = step->job;
	struct rpcprof_timer timer;

	__atomic_add_fetch(&job->holds, 1, __ATOMIC_RELAXED);
	timer = rpcprof_grpc_batch_begin(&job->profile, &step->batch, ops, nops);
	if (grpc_call_start_batch(job->call, ops, nops, step, NULL) != GRPC_CALL_OK)
		abort(); /* batches that core does not take are a mistake in this program */
	rpcprof_timer_end(timer);
}

static void step_over(struct step *step, bool success)
{
	rpcprof_grpc_batch_end(&step->job->profile, &step->batch, success);
	drop(step->job);
}

static void enqueue(struct job *job)
{
	__atomic_add_fetch(&job->holds, 1, __ATOMIC_RELAXED);
	job->queued = RPCPROF_TIMER_BEGIN(rpcprof_grpc_stat(&job->profile), "/queue");
	pthread_mutex_lock(&pool.lock);
	job->next = NULL;
	*pool.last = job;
	pool.last = &job->next;
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

static struct job *dequeue(void)
{
	struct job *job;

	pthread_mutex_lock(&pool.lock);
	while (!pool.first && !pool.over)
		pthread_cond_wait(&pool.more, &pool.lock);
	job = pool.first;
	if (job) {
		pool.first = job->next;
		if (!pool.first)
			pool.last = &pool.first;
	}
	pthread_mutex_unlock(&pool.lock);
	if (job)
		rpcprof_timer_end(job->queued);
	return job;
}

static void reply(struct job *job, grpc_byte_buffer *message, grpc_status_code status)
{
	grpc_op ops[3];
	size_t n = 0;

	memset(ops, 0, sizeof(ops));
	ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (message) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = message;
	}
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n++].data.send_status_from_server.status = status;
	start(&job->reply, ops, n);
	grpc_byte_buffer_destroy(message);
}

static void work(struct job *job)
{
	struct rpcprof_stat stat = rpcprof_grpc_stat(&job->profile);
	Greeter__HelloReply hello = GREETER__HELLO_REPLY__INIT;
	ProtobufCMessage *request;
	grpc_byte_buffer *message;

	RPCPROF_LAP(stat, "/decode");
	request = greeter_unpack(&greeter__hello_request__descriptor, job->payload);
	RPCPROF_LAP(stat, "/handler");
	usleep(2000); /* what a real one would spend on its database */
	hello.message = (char *)"Hello from the pool";
	RPCPROF_LAP(stat, "/encode");
	message = greeter_pack(&hello.base);
	rpcprof_lap(stat, RPCPROF_TAG_NONE);
	reply(job, message, request ? GRPC_STATUS_OK : GRPC_STATUS_INVALID_ARGUMENT);
	protobuf_c_message_free_unpacked(request, NULL);
}

static void *worker(void *arg)
{
	struct job *job;

	(void)arg;
	rpcprof_thread_prepare();
	while ((job = dequeue())) {
		work(job);
		drop(job);
	}
	return NULL;
}

static void received(struct step *step, bool success)
{
	struct job *job = step->job;

	rpcprof_grpc_batch_end(&job->profile, &step->batch, success);
	enqueue(job);
	drop(job);
}

static void requested(struct step *step, bool success)
{
	struct job *job = step->job;
	grpc_op op;

	if (success) {
		rpcprof_grpc_server_begin(&job->profile, job->call, &job->details);
		request_job();
		memset(&op, 0, sizeof(op));
		op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
		op.data.recv_close_on_server.cancelled = &job->cancelled;
		start(&job->close, &op, 1);
		memset(&op, 0, sizeof(op));
		op.op = GRPC_OP_RECV_MESSAGE;
		op.data.recv_message.recv_message = &job->payload;
		start(&job->receive, &op, 1);
	}
	drop(job);
}

static void step_init(struct step *step, struct job *job,
                      void (*done)(struct step *step, bool success))
{
	step->job = job;
	step->done = done;
}

static void request_job(void)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		abort();
	__atomic_add_fetch(&jobs, 1, __ATOMIC_RELAXED);
	job->holds = 1;
	step_init(&job->request, job, requested);
	step_init(&job->receive, job, received);
	step_init(&job->reply, job, step_over);
	step_init(&job->close, job, step_over);
	grpc_call_details_init(&job->details);
	grpc_metadata_array_init(&job->metadata);
	if (grpc_server_request_call(server, &job->call, &job->details, &job->metadata, queue,
	                             queue, &job->request) != GRPC_CALL_OK)
		abort();
}

static void stopped(struct step *step, bool success)
{
	(void)step;
	(void)success;
}

static struct step stop_step = { .done = stopped };

static void *events(void *arg)
{
	bool stopping = false;

	(void)arg;
	while (!stopping || __atomic_load_n(&jobs, __ATOMIC_ACQUIRE) != 0) {
		grpc_event event = grpc_completion_queue_next(
			queue,
			gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
		                     gpr_time_from_millis(100, GPR_TIMESPAN)),
			NULL);
		struct step *step = event.tag;

		if (event.type != GRPC_OP_COMPLETE)
			continue; /* a worker may have freed the last job: look */
		step->done(step, event.success);
		stopping = stopping || step == &stop_step;
	}
	return NULL;
}

static void *client(void *channel)
{
	static const unsigned wrong = 1;

	for (unsigned i = 0; i < CALLS_EACH; i++)
		if (greeter_call(channel, GREETER_UNARY, 0) != 1)
			return (void *)(uintptr_t)&wrong;
	return NULL;
}

static int run_clients(int port)
{
	grpc_channel *channel = greeter_connect(port);
	pthread_t threads[CLIENTS];
	void *wrong;
	int failed = 0;

	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_create(&threads[i], NULL, client, channel);
	for (unsigned i = 0; i < CLIENTS; i++) {
		pthread_join(threads[i], &wrong);
		failed |= wrong != NULL;
	}
	grpc_channel_destroy(channel);
	return failed;
}

static void stop_workers(pthread_t *threads)
{
	pthread_mutex_lock(&pool.lock);
	pool.over = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
}

static void show(void)
{
	struct rpcprof_dump_options options;

	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	options.filter.size = sizeof(options.filter);
	options.filter.side = RPCPROF_TAG_SERVER;
	options.filter.last = 3;
	rpcprof_dump(stdout, &options);
}

int main(void)
{
	pthread_t event_thread, workers[WORKERS];
	int failed, port;

	if (rpcprof_init(NULL) != 0)
		return EXIT_FAILURE;
	rpcprof_call_declare_method(GREETER_UNARY, strlen(GREETER_UNARY));
	rpcprof_enable(true);
	grpc_init();
	queue = grpc_completion_queue_create_for_next(NULL);
	port = greeter_listen(&server, queue);
	for (unsigned i = 0; i < 8; i++)
		request_job();
	pthread_create(&event_thread, NULL, events, NULL);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, worker, NULL);
	failed = run_clients(port);
	grpc_server_shutdown_and_notify(server, queue, &stop_step);
	pthread_join(event_thread, NULL);
	stop_workers(workers);
	grpc_server_destroy(server);
	grpc_completion_queue_shutdown(queue);
	while (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(queue);
	grpc_shutdown();
	show();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
