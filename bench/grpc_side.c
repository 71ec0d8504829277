/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unary greeter on loopback: a server process and this one, its client, in the rounds that
 * bench/grpc.c asks for. Built twice: with rpcprof, and without (BENCH_PLAIN).
 *
 * A line "MODE OUTSTANDING CALLS" makes one round, answered by what bench/grpc.h lists.
 */
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h> /* core 1.83 */
#else
#include <grpc/grpc_security.h> /* core 1.51 */
#endif
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "grpc.h"
#include "pin.h"

#ifdef BENCH_PLAIN
#define CORE(name) grpc_##name
#define LAP(call, tag) ((void)(call))
#define TIMERS8(call) ((void)(call))
static void set_up(void)
{
}
static void set_mode(char mode)
{
	(void)mode;
}
#else
#include <rpcprof/export.h>
#include <rpcprof/grpc.h>
#include <rpcprof/rpcprof.h>

#define CORE(name) rpcprof_grpc_##name
#define LAP(call, tag)                                                                         \
	do {                                                                                   \
		if (laps)                                                                      \
			RPCPROF_LAP(rpcprof_grpc_call_stat(call), tag);                        \
	} while (0)
#define TIMERS8(call) eight_timers(rpcprof_grpc_call_stat(call))

static bool laps, timers, exporter; /* set between rounds */
static uint32_t tags[8];

static void eight_timers(struct rpcprof_stat stat)
{
	for (int i = 0; timers && i < 8; i++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, tags[i]));
}

static void set_up(void)
{
	if (rpcprof_init(NULL) != 0)
		abort();
	for (int i = 0; i < 8; i++) {
		char name[] = {'/', 't', 'i', 'm', 'e', 'r', (char)('0' + i)};
		tags[i] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, sizeof(name));
	}
	(void)rpcprof_grpc_method_declare(METHOD);
}

static void set_mode(char mode)
{
	struct rpcprof_exporter_config config = {.size = sizeof(config), .keep_switch = 1,
	                                         .interval_s = 1};

	laps = mode == MODE_LAPS || mode == MODE_EXPORTER;
	timers = mode == MODE_TIMERS;
	(void)rpcprof_enable(mode != MODE_OFF);
	if (exporter)
		(void)rpcprof_exporter_stop();
	exporter = mode == MODE_EXPORTER;
	if (exporter && rpcprof_exporter_start(&config) != 0)
		abort();
}
#endif

static double seconds(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double rss_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident = 0;

	if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2)
		abort();
	(void)fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static grpc_byte_buffer *pack(const char *text)
{
	grpc_slice slice = grpc_slice_from_copied_string(text);
	grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);

	grpc_slice_unref(slice);
	return buffer;
}

static bool unpack(grpc_byte_buffer *buffer, const char *expected)
{
	grpc_byte_buffer_reader reader;
	grpc_slice slice;
	bool good;

	if (buffer == NULL || !grpc_byte_buffer_reader_init(&reader, buffer))
		return false;
	slice = grpc_byte_buffer_reader_readall(&reader);
	good = grpc_slice_str_cmp(slice, expected) == 0;
	grpc_slice_unref(slice);
	grpc_byte_buffer_reader_destroy(&reader);
	return good;
}

static void start(grpc_call *call, const grpc_op *ops, size_t nops, void *tag)
{
	if (CORE(call_start_batch)(call, ops, nops, tag, NULL) != GRPC_CALL_OK)
		abort();
}

static void *next(grpc_completion_queue *queue)
{
	grpc_event event = CORE(completion_queue_next)(
		queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

	return event.type == GRPC_OP_COMPLETE ? event.tag : NULL;
}

/* The server: one thread, one queue. */

struct greeting;

struct step {
	void (*done)(struct greeting *greeting);
	struct greeting *greeting;
};

struct greeting {
	grpc_server *server;
	grpc_completion_queue *queue;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *request;
	int cancelled;
	unsigned steps; /* under way */
	struct step requested, received, replied, closed;
};

static void await_request(struct greeting *greeting);

/* After the last step of a call: ready for the next. */
static void step_done(struct greeting *greeting)
{
	if (--greeting->steps != 0)
		return;
	CORE(call_unref)(greeting->call);
	grpc_byte_buffer_destroy(greeting->request);
	grpc_call_details_destroy(&greeting->details);
	grpc_metadata_array_destroy(&greeting->metadata);
	await_request(greeting);
}

static void reply(struct greeting *greeting)
{
	grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_SEND_MESSAGE},
	                  {.op = GRPC_OP_SEND_STATUS_FROM_SERVER}};

	LAP(greeting->call, "/decode");
	if (!unpack(greeting->request, "world"))
		abort();
	LAP(greeting->call, "/handler");
	TIMERS8(greeting->call);
	LAP(greeting->call, "/encode");
	ops[1].data.send_message.send_message = pack("Hello, world");
	start(greeting->call, ops, 3, &greeting->replied);
	grpc_byte_buffer_destroy(ops[1].data.send_message.send_message);
	step_done(greeting);
}

static void requested(struct greeting *greeting)
{
	grpc_op close = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
	grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE};

	greeting->steps = 3;
	close.data.recv_close_on_server.cancelled = &greeting->cancelled;
	start(greeting->call, &close, 1, &greeting->closed);
	receive.data.recv_message.recv_message = &greeting->request;
	start(greeting->call, &receive, 1, &greeting->received);
}

static void await_request(struct greeting *greeting)
{
	greeting->requested = (struct step){requested, greeting};
	greeting->received = (struct step){reply, greeting};
	greeting->replied = (struct step){step_done, greeting};
	greeting->closed = (struct step){step_done, greeting};
	grpc_call_details_init(&greeting->details);
	grpc_metadata_array_init(&greeting->metadata);
	if (CORE(server_request_call)(greeting->server, &greeting->call, &greeting->details,
	                              &greeting->metadata, greeting->queue, greeting->queue,
	                              &greeting->requested) != GRPC_CALL_OK)
		abort();
}

/* What the client's process asks of this one: a mode, answered by CPU seconds and memory. */
static void *obey(void *arg)
{
	int control = *(int *)arg;
	char mode;

	while (read(control, &mode, 1) == 1) {
		double answer[2];

		if (mode != MODE_SAME)
			set_mode(mode);
		answer[0] = seconds(CLOCK_PROCESS_CPUTIME_ID);
		answer[1] = rss_kib();
		if (write(control, answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0); /* the client has ended */
}

static void serve(int control)
{
	grpc_server_credentials *credentials;
	grpc_completion_queue *queue;
	struct greeting *greetings = calloc(OUTSTANDING_MAX + 1, sizeof(*greetings));
	grpc_server *server;
	pthread_t thread;
	int port;

	set_up();
	grpc_init();
	credentials = grpc_insecure_server_credentials_create();
	queue = CORE(completion_queue_create_for_next)(NULL);
	server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(server, queue, NULL);
	port = grpc_server_add_http2_port(server, "127.0.0.1:0", credentials);
	grpc_server_credentials_release(credentials);
	grpc_server_start(server);
	if (greetings == NULL || write(control, &port, sizeof(port)) != sizeof(port) ||
	    pthread_create(&thread, NULL, obey, &control) != 0)
		_exit(1);
	for (int i = 0; i <= OUTSTANDING_MAX; i++) {
		greetings[i] = (struct greeting){.server = server, .queue = queue};
		await_request(&greetings[i]);
	}
	for (;;) {
		struct step *step = next(queue);
		step->done(step->greeting);
	}
}

/* The client: one thread, one queue. */

#define LATENCIES 16384

struct client {
	grpc_channel *channel;
	grpc_completion_queue *queue;
	int control; /* of the server */
	unsigned calls, done;
	double seconds[LATENCIES]; /* of the last calls; no memory of ours that grows with them */
};

struct hello {
	grpc_call *call;
	grpc_metadata_array header, trailer;
	grpc_byte_buffer *reply;
	grpc_status_code status;
	grpc_slice details;
	double begin;
};

static void begin_call(struct client *client, struct hello *hello)
{
	grpc_op ops[6] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}, {.op = GRPC_OP_SEND_MESSAGE},
	                  {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
	                  {.op = GRPC_OP_RECV_INITIAL_METADATA}, {.op = GRPC_OP_RECV_MESSAGE},
	                  {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};

	client->calls--;
	hello->begin = seconds(CLOCK_MONOTONIC);
	hello->call = CORE(channel_create_call)(
		client->channel, NULL, 0, client->queue, grpc_slice_from_static_string(METHOD), NULL,
		gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	LAP(hello->call, "/encode");
	ops[1].data.send_message.send_message = pack("world");
	grpc_metadata_array_init(&hello->header);
	grpc_metadata_array_init(&hello->trailer);
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &hello->header;
	ops[4].data.recv_message.recv_message = &hello->reply;
	ops[5].data.recv_status_on_client.trailing_metadata = &hello->trailer;
	ops[5].data.recv_status_on_client.status = &hello->status;
	ops[5].data.recv_status_on_client.status_details = &hello->details;
	TIMERS8(hello->call);
	start(hello->call, ops, 6, hello);
	grpc_byte_buffer_destroy(ops[1].data.send_message.send_message);
}

static void end_call(struct client *client, struct hello *hello)
{
	LAP(hello->call, "/decode");
	if (hello->status != GRPC_STATUS_OK || !unpack(hello->reply, "Hello, world"))
		abort();
	CORE(call_unref)(hello->call);
	grpc_byte_buffer_destroy(hello->reply);
	grpc_metadata_array_destroy(&hello->header);
	grpc_metadata_array_destroy(&hello->trailer);
	grpc_slice_unref(hello->details);
	client->seconds[client->done++ % LATENCIES] = seconds(CLOCK_MONOTONIC) - hello->begin;
}

static void make_calls(struct client *client, unsigned outstanding, unsigned calls)
{
	static struct hello hellos[OUTSTANDING_MAX];

	client->calls = calls;
	client->done = 0;
	for (unsigned i = 0; i < outstanding && client->calls > 0; i++)
		begin_call(client, &hellos[i]);
	while (client->done < calls) {
		struct hello *hello = next(client->queue);

		end_call(client, hello);
		if (client->calls > 0)
			begin_call(client, hello);
	}
}

/* Has the server change to a mode; its CPU seconds and memory. */
static void ask_server(const struct client *client, char mode, double answer[2])
{
	if (write(client->control, &mode, 1) != 1 ||
	    read(client->control, answer, 2 * sizeof(*answer)) != 2 * sizeof(*answer)) {
		fprintf(stderr, "bench_grpc: the server has ended\n");
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void make_round(struct client *client, char mode, unsigned outstanding, unsigned calls)
{
	unsigned kept = calls < LATENCIES ? calls : LATENCIES;
	double before[2], after[2], cpu, wall;

	set_mode(mode);
	ask_server(client, mode, before);
	make_calls(client, outstanding, calls / 4); /* the other process was on the CPU */
	ask_server(client, MODE_SAME, before);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	wall = seconds(CLOCK_MONOTONIC);
	make_calls(client, outstanding, calls);
	wall = seconds(CLOCK_MONOTONIC) - wall;
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	ask_server(client, MODE_SAME, after);
	qsort(client->seconds, kept, sizeof(*client->seconds), by_value);
	printf("%.1f %.1f %.1f %.1f %.0f %.0f %.0f\n", cpu / calls * 1e9,
	       (after[0] - before[0]) / calls * 1e9, client->seconds[kept / 2] * 1e6,
	       client->seconds[kept - 1 - kept / 100] * 1e6, calls / wall, rss_kib(), after[1]);
	(void)fflush(stdout);
}

static void open_client(struct client *client)
{
	grpc_channel_credentials *credentials;
	char address[32];
	int port;

	if (read(client->control, &port, sizeof(port)) != sizeof(port))
		exit(1);
	set_up();
	grpc_init();
	credentials = grpc_insecure_credentials_create();
	(void)snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	client->channel = grpc_channel_create(address, credentials, NULL);
	grpc_channel_credentials_release(credentials);
	client->queue = CORE(completion_queue_create_for_next)(NULL);
}

int main(void)
{
	unsigned outstanding, calls;
	static struct client client;
	pid_t server;
	int pair[2];
	char mode;

	/* Before gRPC and rpcprof start: neither is of use in a child. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return 1;
	server = fork();
	if (server == 0) {
		(void)close(pair[1]);
		bench_pin(1);
		serve(pair[0]);
	}
	(void)close(pair[0]);
	bench_pin(0);
	client.control = pair[1];
	open_client(&client);
	printf("grpc\n");
	(void)fflush(stdout);
	while (scanf(" %c %u %u", &mode, &outstanding, &calls) == 3)
		make_round(&client, mode, outstanding, calls);
	(void)close(client.control); /* the server notices */
	(void)waitpid(server, NULL, 0);
	_exit(0); /* calls are over, but core's threads are not */
}
