/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GRPC_SERVICE_INTERNAL_H
#define RPCPROF_GRPC_SERVICE_INTERNAL_H

/*
 * grpc_service.c          open, start, stop, the thread
 * grpc_service_call.c     one call, from the request that waits for it on; that thread alone
 * grpc_service_address.c  the listening socket: which, whose, where
 * grpc_service_accept.c   connections, and the thread that accepts them
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "rpcprof/grpc_service.h"

/* A listening socket. */
struct grpc_address {
	int file;          /* -1: none */
	bool is_unix;      /* peers are asked for their user */
	char *path;        /* in the file system, to be removed; NULL: none */
	uint64_t device, inode; /* of what was made there */
	char *name;        /* as gRPC clients take it */
};

/* What is at the other end of an "address"; NULL: a Unix socket of this process's own, whose name
 * ends in .KIND, for the command to know what is spoken there: "sock", gRPC; "plain", preload's
 * messages. 0 or a negative errno, logged. */
int rpcprof_grpc_address_open(struct grpc_address *address, const char *text, const char *kind);
void rpcprof_grpc_address_close(struct grpc_address *address);
/* Whether a "HOST:PORT" is on this machine alone: 1, 0, or -EINVAL, logged. */
int rpcprof_grpc_address_is_loopback(const char *text);

/* Connections that are open at one time. */
#define GRPC_CONNECTIONS_MAX 32

struct grpc_accepter {
	struct grpc_address address;
	grpc_server *server; /* takes the connections */
	int wake;            /* an eventfd; -1: there is no thread */
	pthread_t thread;
	/* Second descriptors of the connections, by which to see that they are over. */
	int open[GRPC_CONNECTIONS_MAX];
	unsigned open_count;
};

/* 0 or a negative errno. The address is the accepter's own from then on. */
int rpcprof_grpc_accepter_start(struct grpc_accepter *accepter);
void rpcprof_grpc_accepter_stop(struct grpc_accepter *accepter);

struct grpc_service_call;

struct rpcprof_grpc_service {
	grpc_server *server;
	grpc_completion_queue *queue;
	bool own;      /* the server is ours */
	bool stopping; /* core gives back what waited for calls */
	bool trust_all; /* whoever got a connection may control */
	bool plaintext_token;
	uint32_t answer_max;
	char *read_token, *control_token;
	void **methods; /* registered, of a server of the user's; NULL: any method is taken */
	size_t method_count;
	struct grpc_service_call *calls; /* under way, and the requests that wait for one */
	struct grpc_accepter accepter;
	char *name;
	/* The thread, and who waits for its end. */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool has_ended;
	bool shut_down; /* the server was told */
};

/* For a message to be taken; a test shortens it. */
extern uint64_t rpcprof_grpc_service_send_ns;

/* Waits for a call; of method i, if they are registered. False: core takes no more. */
bool rpcprof_grpc_service_request(struct rpcprof_grpc_service *service, size_t i);

/* An event's tag has come back. */
void rpcprof_grpc_service_event(const grpc_event *event);

/* Goes on with calls whose time has come. When there will be another; infinite: none. */
gpr_timespec rpcprof_grpc_service_due(struct rpcprof_grpc_service *service);

#endif
