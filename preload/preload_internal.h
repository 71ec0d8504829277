/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PRELOAD_INTERNAL_H
#define RPCPROF_PRELOAD_INTERNAL_H

#include "rpcprof/export.h"
#include "service/service_internal.h"

/* What `rpcprof run` tells the library, and what the library does with it. */
/* Variables that `rpcprof run` sets. Without --follow they are gone before main(). */
#define PRELOAD_OUTPUT "RPCPROF_PRELOAD_OUTPUT"   /* where to write; %p is the process id */
#define PRELOAD_FOLLOW "RPCPROF_PRELOAD_FOLLOW"   /* "1": programs that this one starts too */
#define PRELOAD_OFF "RPCPROF_PRELOAD_OFF"         /* "1": recording starts switched off */
#define PRELOAD_CONTROL "RPCPROF_PRELOAD_CONTROL" /* control address; "none"; unset: a default */
#define PRELOAD_PROCESS "RPCPROF_PRELOAD_PROCESS" /* process id of the program itself */

/* Where the library is installed, seen from the command. */
#define PRELOAD_DIRECTORY "../lib/rpcprof"

#define PRELOAD_PATH_MAX 4096

/* environment.c: takes this library and its variables out of the environment, in place: main()'s
 * envp is the same array. */
void preload_environment_clean(void);

/* output.c */
void preload_output_open(const char *pattern);
/* Writes the calls, whole or not at all: the form is told by the name, see rpcprof-run(1). 0 or a
 * negative errno. */
int preload_output_write(void);

/*
 * control.c: answers on a control address, by a thread of its own. NULL: a path of this process's
 * own, see grpc_service.h. One request a connection; numbers are big endian, 32 bits:
 *
 *     request   bytes of the method, bytes of the message; method, message
 *     answers   PRELOAD_MESSAGE, bytes; a message. Last: a gRPC status code, bytes; a sentence
 *
 * The methods are those of service.h, and PRELOAD_WRITE: write the output now.
 */
#define PRELOAD_MESSAGE UINT32_MAX
#define PRELOAD_WRITE "/rpcprof.Preload/Write"
int preload_control_start(const char *where);
void preload_control_stop(void);

/*
 * push.c: profiles to where the environment says. What sends them is in a library of its own, for
 * libcurl and all that it brings has no business in a program that nobody asked to push; it is
 * loaded when somebody did. Not by RTLD_DEEPBIND: memory that one allocator gave would be freed by
 * another where a program has its own.
 */
void preload_push_start(void);

/* What that library has, under this name. */
#define PRELOAD_PUSH_LIBRARY "librpcprof_preload_push.so"
#define PRELOAD_PUSH_SYMBOL "preload_push"
struct preload_push {
	/* As configured: *exporter for rpcprof_exporter_start(), its strings borrowed until close;
	 * its size is 0 if profiles go nowhere. 0, or a negative errno with a sentence in error. */
	int (*open)(struct rpcprof_exporter_config *exporter, char *error, size_t error_bytes);
	/* Sends what is left, within the configured time. The exporter has stopped. */
	void (*close)(void);
	service_pushes_fn *pushes; /* for a status */
	int (*set_label)(const char *name, const char *value); /* of all, for a forked child */
};

/* On stderr, but not by stdio, which the program may have closed or be inside. */
__attribute__((format(printf, 1, 2))) void preload_say(const char *format, ...);

/* start.c: somebody calls core. Only then is there a thread of ours: a program that is none of
 * gRPC's may rely on having one. */
void preload_core_called(void);

#endif
