/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GREETER_H
#define GREETER_H

/* What the gRPC examples share: options, the switch by signal, messages, the report at the end. */
#include <grpc/grpc.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h> /* core 1.83 */
#else
#include <grpc/grpc_security.h> /* core 1.51 */
#endif
#include <stdbool.h>
#include <stdint.h>

#include "greeter.pb-c.h"

#define GREETER_UNARY "/greeter.Greeter/SayHello"
#define GREETER_STREAM "/greeter.Greeter/SayHellos"

struct greeter_options {
	const char *address;
	const char *dump;    /* file for JSON lines */
	const char *profile; /* file for a gzipped pprof profile */
	const char *service; /* where outsiders may ask; server only */
	unsigned calls;      /* 0 = until the time is up */
	unsigned seconds;    /* 0 = until SIGINT or SIGTERM */
	unsigned outstanding;
	unsigned last; /* calls in the table printed at the end */
	bool on;       /* record from the start */
	bool trace;    /* send a traceparent with each call, which joins the two sides */
};

/* Reads the command line; exits on a bad one. about: a sentence for --help. */
void greeter_parse(struct greeter_options *options, int argc, char **argv, const char *about);

/* Makes the process able to record, and blocks the signals of greeter_control(). Before any other
 * thread starts. Exits if it cannot. */
void greeter_start(const struct greeter_options *options);

/* Starts the thread that takes signals: SIGUSR1 switches recording on, SIGUSR2 off; SIGINT, SIGTERM
 * or the end of options->seconds call stop(arg), once. Exits if it cannot. */
void greeter_control(const struct greeter_options *options, void (*stop)(void *arg), void *arg);

/* Ends that thread, prints the last calls, writes dump and profile. The program's exit status. */
int greeter_finish(const struct greeter_options *options, const char *side);

/* A server on a free port of loopback, started, and a channel to it. The port; exits on failure. */
int greeter_listen(grpc_server **server, grpc_completion_queue *queue);
grpc_channel *greeter_connect(int port);

/* One call that blocks: the number of replies; 0 if it failed. Of greeter_call.c. */
unsigned greeter_call(grpc_channel *channel, const char *method, unsigned count);

/* Messages: protobuf-c to core's byte buffers and back. */
grpc_byte_buffer *greeter_pack(const ProtobufCMessage *message);
/* The caller's, by protobuf_c_message_free_unpacked(); NULL if the bytes are no such message. */
ProtobufCMessage *greeter_unpack(const ProtobufCMessageDescriptor *descriptor,
                                 grpc_byte_buffer *buffer);

#endif
