/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a forked child asks of its parent's exporter: one frame there, one answer back. No memory is
 * allocated and no lock taken, for threads that are not here may have held it at the fork.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "export/channel_internal.h"
#include "rpcprof/export.h"

#define S 1000000000ll

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * S + now.tv_nsec;
}

/* 0 or -ETIMEDOUT. */
static int await(int file, short events, int64_t until_ns)
{
	struct pollfd look = {.fd = file, .events = events};
	int ready;

	do {
		int64_t left = until_ns - now_ns();
		struct timespec time = {left > 0 ? left / S : 0, left > 0 ? left % S : 0};

		ready = ppoll(&look, 1, &time, NULL);
	} while (ready < 0 && errno == EINTR);
	return ready > 0 ? 0 : -ETIMEDOUT;
}

static int send_frame(struct rpcprof_channel_frame *frame, int asker, int64_t until_ns)
{
	union {
		struct cmsghdr first;
		char bytes[CMSG_SPACE(sizeof(int))];
	} ancillary = {.first = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
	                         .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {frame, frame->bytes};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &ancillary,
	                         .msg_controllen = sizeof(ancillary)};
	int parent = rpcprof_channel_parent(), error = parent >= 0 ? 0 : -ESRCH;

	memcpy(CMSG_DATA(&ancillary.first), &asker, sizeof(asker));
	while (error == 0 && sendmsg(parent, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EAGAIN)
			error = await(parent, POLLOUT, until_ns);
		else if (errno != EINTR)
			error = errno == ECONNRESET || errno == ECONNREFUSED ? -EPIPE : -errno;
	}
	return error;
}

static int receive_answer(int answers, int64_t until_ns)
{
	rpcprof_channel_answer_t answer;
	int error = await(answers, POLLIN, until_ns);

	if (error != 0)
		return error;
	return recv(answers, &answer, sizeof(answer), MSG_DONTWAIT) == sizeof(answer) ? answer
	                                                                              : -EPIPE;
}

static int ask(struct rpcprof_channel_frame *frame, enum rpcprof_request request,
               size_t text_bytes, uint32_t timeout_ms)
{
	int64_t until_ns = now_ns() + timeout_ms * (S / 1000);
	int pair[2], error;

	frame->magic = RPCPROF_CHANNEL_MAGIC;
	frame->bytes = (uint32_t)(RPCPROF_CHANNEL_HEAD + text_bytes);
	frame->request = request;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -errno;
	error = send_frame(frame, pair[1], until_ns);
	close(pair[1]); /* so that the end of who has the other copy shows */
	if (error == 0)
		error = receive_answer(pair[0], until_ns);
	close(pair[0]);
	return error;
}

int rpcprof_parent_flush(uint32_t timeout_ms)
{
	struct rpcprof_channel_frame frame;

	return ask(&frame, RPCPROF_REQUEST_FLUSH, 0, timeout_ms);
}

int rpcprof_parent_set_label(const char *name, const char *value, uint32_t timeout_ms)
{
	struct rpcprof_channel_frame frame;
	size_t name_bytes = strlen(name) + 1, value_bytes = value != NULL ? strlen(value) + 1 : 0;

	if (name_bytes > RPCPROF_CHANNEL_NAME_MAX + 1 ||
	    value_bytes > RPCPROF_CHANNEL_VALUE_MAX + 1)
		return -EINVAL;
	memcpy(frame.text, name, name_bytes);
	if (value != NULL)
		memcpy(frame.text + name_bytes, value, value_bytes);
	return ask(&frame, RPCPROF_REQUEST_LABEL, name_bytes + value_bytes, timeout_ms);
}
