/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_SERVICE_INTERNAL_H
#define RPCPROF_SERVICE_INTERNAL_H

/*
 * One file per method or family of them; service.c finds the method and keeps the limits.
 *
 * A method's begin reads the request; its next, called until it gives 0, makes message after
 * message. Either may fail the call by service_fail(), which ends it.
 */
#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "rpcprof/push.h" /* the counters; there is a push only if that was built */
#include "rpcprof/service.h"

/* Messages of our own streams: each fits every asker. */
#define SERVICE_PIECE_BYTES (1u << 20)

/* Requests that are taken in one second; tests of hostile bytes raise it. */
extern uint32_t service_per_second;

/* gRPC's status codes. */
enum service_status {
	SERVICE_OK = 0,
	SERVICE_INVALID_ARGUMENT = 3,
	SERVICE_PERMISSION_DENIED = 7,
	SERVICE_RESOURCE_EXHAUSTED = 8,
	SERVICE_FAILED_PRECONDITION = 9,
	SERVICE_ABORTED = 10,
	SERVICE_UNIMPLEMENTED = 12,
	SERVICE_INTERNAL = 13,
	SERVICE_UNAUTHENTICATED = 16
};

struct service_method {
	const char *path;
	const ProtobufCMessageDescriptor *request;
	enum rpcprof_permission permission;
	/* Each 0 or what service_fail() gives. */
	int (*begin)(struct rpcprof_service_call *call, const void *request);
	/* As rpcprof_service_next(); the message is call->answer, call->length. NULL: the one
	 * message that begin made. */
	int (*next)(struct rpcprof_service_call *call);
	void (*end)(struct rpcprof_service_call *call, bool delivered); /* may be NULL */
};

struct rpcprof_service_call {
	const struct service_method *method; /* NULL: none was begun */
	enum service_status status;
	char message[192];
	uint32_t answer_max;
	uint64_t wait_ns;
	const uint8_t *answer; /* the message at hand */
	size_t length;
	uint8_t *bytes; /* room for one; freed at the end */
	void *state; /* the method's own */
	bool given;  /* of methods with one message: it was */
};

/* Sets the status. Gives 0, the end of the answer. */
__attribute__((format(printf, 3, 4))) int service_fail(struct rpcprof_service_call *call,
                                                       enum service_status status,
                                                       const char *format, ...);
int service_fail_memory(struct rpcprof_service_call *call);

/* Makes the message at hand from one of protobuf-c's. 1, or 0 with the call failed. */
int service_answer(struct rpcprof_service_call *call, const ProtobufCMessage *message);

/* What this service did in this process. */
struct service_counters {
	uint64_t begun, unauthenticated, denied, limited;
};
void service_counters_get(struct service_counters *counters);

/* Once per process, before anything else: what a fork does to all of it. In the child nobody asks,
 * nothing is held, and recording that was to end by itself is off. */
void service_watch_forks(void);
void service_drain_forget(void);
void service_stats_forget(void);
void service_switch_forget(void);

/* Switches recording; for_ns != 0: on, and off again so much later. *was, unless NULL: whether it
 * was on. 0, -ENODEV, -EAGAIN. */
int service_switch(bool on, uint64_t for_ns, bool *was);
/* Recording is on from hold to release. The last release switches it off again if a hold had switched
 * it on; what service_switch() said meanwhile stays. 0 or -ENODEV. */
int service_switch_hold(void);
void service_switch_release(void);
/* Until it switches itself off; 0 = it will not. */
uint64_t service_switch_off_in_ns(void);

/* Who knows the pushes of this process says so when the first is opened: the service itself does not
 * need them, and a program that is only recorded does not link them. */
typedef void service_push_fn(void *arg, const char *url, const struct rpcprof_push_stats *stats);
typedef void service_pushes_fn(service_push_fn *fn, void *arg);
void service_pushes_set(service_pushes_fn *pushes);

/* Calls that are held until they are acknowledged. */
uint64_t service_drain_held(void);

/* Methods. */
int service_status_begin(struct rpcprof_service_call *call, const void *request);
int service_enable_begin(struct rpcprof_service_call *call, const void *request);
int service_snapshot_begin(struct rpcprof_service_call *call, const void *request);
int service_inflight_begin(struct rpcprof_service_call *call, const void *request);
int service_snapshot_next(struct rpcprof_service_call *call);
void service_snapshot_end(struct rpcprof_service_call *call, bool delivered);
int service_profile_begin(struct rpcprof_service_call *call, const void *request);
int service_profile_next(struct rpcprof_service_call *call);
void service_profile_end(struct rpcprof_service_call *call, bool delivered);
int service_drain_begin(struct rpcprof_service_call *call, const void *request);
int service_drain_next(struct rpcprof_service_call *call);
void service_drain_end(struct rpcprof_service_call *call, bool delivered);
int service_go_enable_begin(struct rpcprof_service_call *call, const void *request);
int service_stats_begin(struct rpcprof_service_call *call, const void *request);
int service_stats_next(struct rpcprof_service_call *call);
void service_stats_end(struct rpcprof_service_call *call, bool delivered);

#endif
