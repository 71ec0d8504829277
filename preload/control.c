/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control address: a socket of this user's alone, one request a connection, the answers of
 * rpcprof/service.h. No server of gRPC's: that would be a second one in somebody's process.
 *
 * One thread, one connection at a time: who stalls is dropped after IO_SECONDS, others wait in the
 * kernel.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "preload/preload_internal.h"
#include "rpc/grpc_service_internal.h" /* of which the address knows nothing of core */
#include "rpcprof/service.h"
#include "thread_internal.h"

#define METHOD_MAX 256
#define REQUEST_MAX (16u << 10)
#define IO_SECONDS 5
#define INVALID_ARGUMENT 3
#define RESOURCE_EXHAUSTED 8
#define INTERNAL 13

static struct grpc_address address;
static int wake = -1;
static pthread_t thread;

/* The connection that is served, so that a stop can end it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int current = -1;

static bool receive(int file, void *to, size_t bytes)
{
	return bytes == 0 || recv(file, to, bytes, MSG_WAITALL) == (ssize_t)bytes;
}

/* A program's SIGPIPE is its own. */
static bool send_all(int file, const void *from, size_t bytes)
{
	const char *at = from;

	while (bytes > 0) {
		ssize_t sent = send(file, at, bytes, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		at += sent;
		bytes -= (size_t)sent;
	}
	return true;
}

static bool answer(int file, uint32_t code, const void *bytes, size_t length)
{
	const uint32_t head[2] = {htonl(code), htonl((uint32_t)length)};

	return send_all(file, head, sizeof(head)) && send_all(file, bytes, length);
}

static bool answer_status(int file, uint32_t code, const char *text)
{
	return answer(file, code, text, strlen(text));
}

/* What is refused is read all the same, up to a bound: who closes on unread bytes takes the answer
 * back. */
static void refuse(int file, uint32_t code, const char *text, char *scratch, size_t size)
{
	size_t left = 1u << 20;
	ssize_t got;

	answer_status(file, code, text);
	shutdown(file, SHUT_WR);
	while (left > 0 && (got = recv(file, scratch, size, 0)) > 0)
		left -= (size_t)got < left ? (size_t)got : left;
}

/* Whether it waited that long; false: the library stops. */
static bool wait_ns(uint64_t ns)
{
	struct pollfd stop = {wake, POLLIN, 0};

	return poll(&stop, 1, (int)(ns / 1000000) + 1) == 0;
}

static void serve_call(int file, struct rpcprof_service_call *call)
{
	bool delivered = true;
	const char *text;
	const void *bytes;
	size_t length;
	int32_t code;
	int more;

	while (delivered && (more = rpcprof_service_next(call, &bytes, &length)) != 0)
		delivered = more == -EAGAIN ? wait_ns(rpcprof_service_wait_ns(call))
		                            : answer(file, PRELOAD_MESSAGE, bytes, length);
	if (delivered) {
		code = rpcprof_service_status(call, &text);
		delivered = answer_status(file, (uint32_t)code, text);
	}
	rpcprof_service_end(call, delivered);
}

static void serve_request(int file, const char *method, size_t method_bytes, const void *bytes,
                          size_t length)
{
	const struct rpcprof_service_request request = {.size = sizeof(request),
	                                                .method = method,
	                                                .method_bytes = method_bytes,
	                                                .bytes = bytes,
	                                                .length = length,
	                                                .permission = RPCPROF_MAY_CONTROL};
	struct rpcprof_service_call *call;
	int error;

	if (method_bytes == strlen(PRELOAD_WRITE) && !memcmp(method, PRELOAD_WRITE, method_bytes)) {
		error = preload_output_write();
		answer_status(file, error == 0 ? 0 : INTERNAL, error == 0 ? "" : strerror(-error));
		return;
	}
	error = rpcprof_service_begin(&call, &request);
	if (error != 0)
		answer_status(file, RESOURCE_EXHAUSTED, strerror(-error));
	else
		serve_call(file, call);
}

static void serve(int file)
{
	static char method[METHOD_MAX], request[REQUEST_MAX]; /* one thread */
	uint32_t head[2];

	if (!receive(file, head, sizeof(head)))
		return;
	head[0] = ntohl(head[0]);
	head[1] = ntohl(head[1]);
	if (head[0] > sizeof(method))
		refuse(file, INVALID_ARGUMENT, "the name of a method has at most 256 bytes", request,
		       sizeof(request));
	else if (head[1] > sizeof(request))
		refuse(file, RESOURCE_EXHAUSTED, "a request has at most 16 KiB", request,
		       sizeof(request));
	else if (receive(file, method, head[0]) && receive(file, request, head[1]))
		serve_request(file, method, head[0], request, head[1]);
}

static bool may_connect(int file)
{
	const struct timeval limit = {.tv_sec = IO_SECONDS};
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(file, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0) &&
	       setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
	       setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0;
}

static void current_set(int file)
{
	pthread_mutex_lock(&lock);
	current = file;
	pthread_mutex_unlock(&lock);
}

static void current_end(void)
{
	pthread_mutex_lock(&lock);
	if (current >= 0)
		shutdown(current, SHUT_RDWR);
	pthread_mutex_unlock(&lock);
}

static void *run(void *arg)
{
	struct pollfd events[2] = {{wake, POLLIN, 0}, {address.file, POLLIN, 0}};

	while (poll(events, 2, -1) < 0 || events[0].revents == 0) {
		int file = accept4(address.file, NULL, NULL, SOCK_CLOEXEC);

		if (file < 0)
			continue;
		current_set(file);
		if (may_connect(file))
			serve(file);
		current_set(-1);
		close(file);
	}
	return arg;
}

int preload_control_start(const char *where)
{
	int error = rpcprof_grpc_address_open(&address, where, "plain");

	if (error != 0)
		return error;
	wake = eventfd(0, EFD_CLOEXEC);
	error = wake < 0 ? -errno : rpcprof_thread_start(&thread, "rpcprof-ctl", run, NULL);
	if (error != 0) {
		rpcprof_grpc_address_close(&address);
		close(wake);
		wake = -1;
	}
	return error;
}

void preload_control_stop(void)
{
	const uint64_t one = 1;

	if (wake < 0)
		return;
	(void)!write(wake, &one, sizeof(one));
	current_end();
	pthread_join(thread, NULL);
	rpcprof_grpc_address_close(&address);
	close(wake);
	wake = -1;
}
