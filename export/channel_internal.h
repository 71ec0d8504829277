/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CHANNEL_INTERNAL_H
#define RPCPROF_CHANNEL_INTERNAL_H

/*
 * The control channel: forked children ask the parent's exporter (rpcprof_parent_flush(),
 * rpcprof_parent_set_label()).
 *
 * A pair of sockets that keep the bounds of what is sent, made when an exporter is opened. Its
 * thread reads one; children have the other by fork(), never over exec(). They share it, so no
 * answer could find its asker there: a request brings the socket along on which it is answered. If
 * nobody is left to answer, the kernel closes that too, and the asker knows.
 *
 * Nothing here waits for a child. Requests stay in the socket, whose buffer bounds them, until the
 * exporter looks, and it looks a few times a second, at a few: however many come, windows are
 * closed and calls collected in time. Nobody wakes it, as recorders do not; who never forked has no
 * look.
 *
 * A program may close every number it does not know, and open others that get those numbers: so
 * none is used before a look at what it is now.
 *
 * One lock guards all numbers. It is held for single system calls that do not wait, and by fork():
 * what a child inherits is known.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RPCPROF_CHANNEL_BATCH 64          /* requests of one look, */
#define RPCPROF_CHANNEL_REST_NS 100000000 /* and from one to the next */

#define RPCPROF_CHANNEL_NAME_MAX 256
#define RPCPROF_CHANNEL_VALUE_MAX 1024

enum rpcprof_request {
	RPCPROF_REQUEST_FLUSH = 1, /* no text; answered when the window is closed */
	RPCPROF_REQUEST_LABEL      /* name, NUL, and unless it is to be taken away value, NUL */
};

/* One request. Both ends are of one program, so in its byte order. */
struct rpcprof_channel_frame {
	uint32_t magic;
	uint32_t bytes; /* of all that is sent */
	uint32_t request;
	char text[RPCPROF_CHANNEL_NAME_MAX + 1 + RPCPROF_CHANNEL_VALUE_MAX + 1];
};

#define RPCPROF_CHANNEL_MAGIC 0x72706301u /* "rpc", version 1 */
#define RPCPROF_CHANNEL_HEAD offsetof(struct rpcprof_channel_frame, text)

/* An answer: 0 or a negative errno. */
typedef int32_t rpcprof_channel_answer_t;

/* The exporter's side. 0 or a negative errno. */
int rpcprof_channel_open(void);
void rpcprof_channel_close(void);

/* Answers what can be answered at once. Whether a window is to be closed; then close it and say by
 * answer() what came of it, before the next look. */
bool rpcprof_channel_look(int64_t now_ns);
void rpcprof_channel_answer(int result);

/* Nanoseconds until the next look; INT64_MAX: nobody can ask. */
int64_t rpcprof_channel_wait(int64_t now_ns);

/* Since the channel was opened: run, and not run. */
void rpcprof_channel_counts(uint64_t *requests, uint64_t *refused);

/* What sets a label of all pushes, for who has some says so: 0 or a negative errno. */
void rpcprof_channel_labels_set(int (*set)(const char *name, const char *value));

/* A child's side: the end that the nearest ancestor's exporter reads; -1: there is none. */
int rpcprof_channel_parent(void);

/* Around fork(); in the child inherit() in place of after(). */
void rpcprof_channel_before_fork(void);
void rpcprof_channel_after_fork(void);
void rpcprof_channel_inherit(void);

#endif
