/* SPDX-License-Identifier: Apache-2.0 */
#include "greeter.h"

#include <argp.h>
#include <grpc/byte_buffer_reader.h>
#include <pthread.h>
#include <rpcprof/dump.h>
#include <rpcprof/export.h>
#include <rpcprof/grpc.h>
#include <rpcprof/rpcprof.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct argp_option option_table[] = {
	{ "address", 'a', "HOST:PORT", 0, "where to listen or connect", 0 },
	{ "calls", 'n', "N", 0, "end after so many calls; 0: when the time is up", 0 },
	{ "seconds", 's', "N", 0, "end after so many seconds; 0: at SIGINT or SIGTERM", 0 },
	{ "outstanding", 'o', "N", 0, "calls under way at one time", 0 },
	{ "last", 'l', "N", 0, "calls in the table at the end (default 3)", 0 },
	{ "dump", 'd', "FILE", 0, "at the end, write the last calls as JSON lines", 0 },
	{ "profile", 'p', "FILE", 0, "at the end, write a pprof profile", 0 },
	{ "service", 'S', "WHERE", 0,
	  "server: let outsiders ask: on this \"server\", at a \"private\" socket, or at an address",
	  0 },
	{ "on", 'O', NULL, 0, "record from the start, not from SIGUSR1 on", 0 },
	{ "traceparent", 't', NULL, 0, "send one with each call, to join client and server", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

static unsigned number(const char *text, struct argp_state *state)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value > 1000000000)
		argp_error(state, "'%s' is no number of use here", text);
	return (unsigned)value;
}

static error_t take_option(int key, char *text, struct argp_state *state)
{
	struct greeter_options *options = state->input;

	switch (key) {
	case 'a':
		options->address = text;
		return 0;
	case 'n':
		options->calls = number(text, state);
		return 0;
	case 's':
		options->seconds = number(text, state);
		return 0;
	case 'o':
		options->outstanding = number(text, state);
		return 0;
	case 'l':
		options->last = number(text, state);
		return 0;
	case 'd':
		options->dump = text;
		return 0;
	case 'p':
		options->profile = text;
		return 0;
	case 'S':
		options->service = text;
		return 0;
	case 'O':
		options->on = true;
		return 0;
	case 't':
		options->trace = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void greeter_parse(struct greeter_options *options, int argc, char **argv, const char *about)
{
	const struct argp argp = { option_table, take_option, NULL, about, NULL, NULL, NULL };

	if (options->last == 0)
		options->last = 3;
	argp_parse(&argp, argc, argv, 0, NULL, options);
	if (options->outstanding == 0)
		options->outstanding = 1;
}

/* Of the thread that takes signals. */
static struct {
	pthread_t thread;
	sigset_t signals;
	struct timespec end; /* CLOCK_MONOTONIC; 0 = none */
	bool over;           /* the thread is to end; told by a signal */
	void (*stop)(void *arg);
	void *arg;
} control;

static void fail(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

/* The next signal; SIGTERM when the time is up. */
static int next_signal(void)
{
	struct timespec now, left;

	if (control.end.tv_sec == 0)
		return sigwaitinfo(&control.signals, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = control.end.tv_sec - now.tv_sec;
	left.tv_nsec = control.end.tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_sec--;
		left.tv_nsec += 1000000000;
	}
	if (left.tv_sec < 0)
		return SIGTERM;
	return sigtimedwait(&control.signals, NULL, &left);
}

static void *control_loop(void *arg)
{
	bool stopped = false;

	(void)arg;
	while (!__atomic_load_n(&control.over, __ATOMIC_ACQUIRE)) {
		switch (next_signal()) {
		case SIGUSR1:
			rpcprof_enable(true);
			break;
		case SIGUSR2:
			rpcprof_enable(false);
			break;
		case SIGINT:
		case SIGTERM:
			control.end.tv_sec = 0;
			if (!stopped)
				control.stop(control.arg);
			stopped = true;
			break;
		default: /* the time is up, or nearly: look again */
			break;
		}
	}
	return NULL;
}

void greeter_start(const struct greeter_options *options)
{
	struct rpcprof_grpc_config grpc = { .size = sizeof(grpc), .send_traceparent = options->trace };
	struct rpcprof_exporter_config exporter;
	int error = rpcprof_grpc_start(&grpc);

	if (error != 0)
		fail("rpcprof_grpc_start", -error);
	/* It gathers all calls for the profile; the dump alone has the last 16384. */
	memset(&exporter, 0, sizeof(exporter));
	exporter.size = sizeof(exporter);
	exporter.keep_switch = 1;
	error = options->profile ? rpcprof_exporter_start(&exporter) : 0;
	if (error != 0)
		fail("rpcprof_exporter_start", -error);
	rpcprof_enable(options->on);
	sigemptyset(&control.signals);
	sigaddset(&control.signals, SIGUSR1);
	sigaddset(&control.signals, SIGUSR2);
	sigaddset(&control.signals, SIGINT);
	sigaddset(&control.signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &control.signals, NULL);
}

void greeter_control(const struct greeter_options *options, void (*stop)(void *arg), void *arg)
{
	int error;

	control.stop = stop;
	control.arg = arg;
	if (options->seconds != 0) {
		clock_gettime(CLOCK_MONOTONIC, &control.end);
		control.end.tv_sec += options->seconds;
	}
	error = pthread_create(&control.thread, NULL, control_loop, NULL);
	if (error != 0)
		fail("pthread_create", error);
}

static int64_t write_dump(const char *path)
{
	struct rpcprof_dump_options dump;
	FILE *file = fopen(path, "w");
	int64_t written;

	if (!file)
		return -1;
	memset(&dump, 0, sizeof(dump));
	dump.size = sizeof(dump);
	dump.format = RPCPROF_DUMP_JSON_LINES;
	written = rpcprof_dump(file, &dump);
	return fclose(file) == 0 ? written : -1;
}

static void print_last(const struct greeter_options *options, const char *side)
{
	struct rpcprof_dump_options dump;

	memset(&dump, 0, sizeof(dump));
	dump.size = sizeof(dump);
	dump.filter.size = sizeof(dump.filter);
	dump.filter.last = options->last;
	dump.filter.side = rpcprof_tag_find(side, strlen(side));
	rpcprof_dump(stdout, &dump);
}

int greeter_finish(const struct greeter_options *options, const char *side)
{
	int status = EXIT_SUCCESS;
	int error;

	/* Not pthread_cancel(): the thread may be inside gRPC, which is C++ and would terminate. */
	__atomic_store_n(&control.over, true, __ATOMIC_RELEASE);
	pthread_kill(control.thread, SIGUSR2);
	pthread_join(control.thread, NULL);
	rpcprof_enable(false);
	print_last(options, side);
	if (options->dump && write_dump(options->dump) < 0) {
		fprintf(stderr, "cannot write %s\n", options->dump);
		status = EXIT_FAILURE;
	}
	error = options->profile ? rpcprof_profile_write(options->profile) : 0;
	if (error != 0) {
		fprintf(stderr, "cannot write %s: %s\n", options->profile, strerror(-error));
		status = EXIT_FAILURE;
	}
	rpcprof_fini();
	return status;
}

int greeter_listen(grpc_server **server, grpc_completion_queue *queue)
{
	grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();
	int port;

	*server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(*server, queue, NULL);
	port = grpc_server_add_http2_port(*server, "127.0.0.1:0", credentials);
	grpc_server_credentials_release(credentials);
	if (port == 0) {
		fprintf(stderr, "cannot listen on loopback\n");
		exit(EXIT_FAILURE);
	}
	grpc_server_start(*server);
	return port;
}

grpc_channel *greeter_connect(int port)
{
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
	grpc_channel *channel;
	char address[32];

	snprintf(address, sizeof(address), "127.0.0.1:%d", port);
	channel = grpc_channel_create(address, credentials, NULL);
	grpc_channel_credentials_release(credentials);
	return channel;
}

grpc_byte_buffer *greeter_pack(const ProtobufCMessage *message)
{
	grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
	grpc_byte_buffer *buffer;

	protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
	buffer = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_slice_unref(slice);
	return buffer;
}

ProtobufCMessage *greeter_unpack(const ProtobufCMessageDescriptor *descriptor,
                                 grpc_byte_buffer *buffer)
{
	grpc_byte_buffer_reader reader;
	ProtobufCMessage *message;
	grpc_slice slice;

	if (!buffer || !grpc_byte_buffer_reader_init(&reader, buffer))
		return NULL;
	slice = grpc_byte_buffer_reader_readall(&reader);
	message = protobuf_c_message_unpack(descriptor, NULL, GRPC_SLICE_LENGTH(slice),
	                                    GRPC_SLICE_START_PTR(slice));
	grpc_slice_unref(slice);
	grpc_byte_buffer_reader_destroy(&reader);
	return message;
}
