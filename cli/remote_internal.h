/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_REMOTE_INTERNAL_H
#define RPCPROF_REMOTE_INTERNAL_H

/* Asking a running process: rpcprof.v1.Profiling, over gRPC, or of a program that `rpcprof run'
 * records over a plain socket. */
#include "cli/input_internal.h"

struct ProtobufCMessage;

struct remote {
	const char *address;    /* as gRPC writes it: unix:/path, host:port; plain:/path; or a process id; NULL:
	                         * the one process that serves */
	const char *token_file;
	const char *ca, *certificate, *key; /* files; NULL: not given */
	bool tls;
	uint64_t timeout_ns;
};

/* --address and what belongs to it, as a child; its input is a struct remote, zeroed. Refuses
 * arguments, if the command itself takes none. */
extern const struct argp remote_argp;

/* processes.c: the address of this user's process `wanted`, or of the only one if that is 0; the
 * caller's to free. An exit_code; other than EXIT_DONE after a complaint. */
int remote_find(long wanted, char **address);

/* One message of an answer. Returns an exit_code; other than EXIT_DONE gives the rest up. */
typedef int remote_message(void *arg, const uint8_t *bytes, size_t length);

/*
 * Asks, and gives each message of the answer to fn.
 *
 * method is one of rpcprof.v1.Profiling: "Status". longer_ns: how much longer than the timeout
 * the answer takes anyway. An exit_code; other than EXIT_DONE after a complaint.
 */
int remote_ask(struct remote *remote, const char *method, const struct ProtobufCMessage *request,
               uint64_t longer_ns, remote_message *fn, void *arg);

/* The calls that match, as if they had been read from a file. They are the process's last ones to
 * end, or those in flight. */
struct call_filter;
int remote_fetch(struct remote *remote, const struct call_filter *filter,
                 struct input *input);

/* One call. */
struct remote_call {
	const char *target;
	const char *authorization;          /* "Bearer ..."; NULL: none */
	const char *ca, *certificate, *key; /* PEM, each NULL if not given */
	bool tls;
	const char *path; /* "/package.Service/Method" */
	const uint8_t *request;
	size_t length;
	uint64_t timeout_ns;
	uint64_t longer_ns; /* what the answer takes anyway: shown as progress */
	remote_message *fn;
	void *arg;
};

/* remote_grpc.c. How it went: a gRPC status code and the server's words, the caller's to free; and what fn said
 * last. */
int32_t remote_grpc(const struct remote_call *call, char **words, int *said);

/* remote_plain.c: the same by the messages of preload_internal.h. target is the socket's path. */
int32_t remote_plain(const struct remote_call *call, char **words, int *said);

#endif
