/* SPDX-License-Identifier: Apache-2.0 */
/* A request to a program that `rpcprof run' records: preload_internal.h says how it goes. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/remote_internal.h"
#include "preload/preload_internal.h"

#define MESSAGE_BYTES_MAX (16u << 20) /* the service promises 1 MiB */
#define LOOK_MS 200

enum { DEADLINE_EXCEEDED = 4, INTERNAL = 13, UNAVAILABLE = 14 };

/* The words of errno; code, or that of a wait that was too long. */
static int32_t fail(int32_t code, char **words)
{
	*words = strdup(strerror(errno));
	return errno == EAGAIN ? DEADLINE_EXCEEDED : code;
}

static bool open_socket(const struct remote_call *call, int *file)
{
	uint64_t wait = call->timeout_ns;
	struct timeval limit = {(time_t)(wait / 1000000000u), (suseconds_t)(wait / 1000 % 1000000)};
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	errno = ENAMETOOLONG;
	*file = -1;
	if (strlen(call->target) >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, call->target, strlen(call->target) + 1);
	*file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return *file >= 0 &&
	       setsockopt(*file, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
	       setsockopt(*file, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
	       connect(*file, (const struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool send_all(int file, const void *bytes, size_t length)
{
	const char *next = bytes;

	while (length > 0) {
		ssize_t sent = send(file, next, length, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return false;
		if (sent > 0) {
			next += sent;
			length -= (size_t)sent;
		}
	}
	return true;
}

static bool receive_all(int file, void *bytes, size_t length)
{
	ssize_t got = length > 0 ? recv(file, bytes, length, MSG_WAITALL) : 0;

	if (got >= 0 && (size_t)got < length)
		errno = ECONNRESET; /* it ended in the middle */
	return got >= 0 && (size_t)got == length;
}

static bool send_request(int file, const struct remote_call *call)
{
	uint32_t head[2] = {htonl((uint32_t)strlen(call->path)), htonl((uint32_t)call->length)};

	return send_all(file, head, sizeof(head)) &&
	       send_all(file, call->path, strlen(call->path)) &&
	       send_all(file, call->request, call->length);
}

/* Shows meanwhile how long it takes. */
static bool wait_for_part(int file, const struct remote_call *call)
{
	struct pollfd answer = {file, POLLIN, 0};
	uint64_t left_ms = (call->timeout_ns + call->longer_ns) / 1000000;

	while (poll(&answer, 1, LOOK_MS) == 0) {
		errno = EAGAIN;
		if (left_ms < LOOK_MS)
			return false;
		left_ms -= LOOK_MS;
		progress_wait(call->target, call->longer_ns);
	}
	return true;
}

/* One part of the answer: its kind, and its bytes with a zero behind them, to free. */
static bool receive_part(int file, uint32_t *kind, char **bytes, size_t *length)
{
	uint32_t head[2];

	*bytes = NULL;
	if (!receive_all(file, head, sizeof(head)))
		return false;
	*kind = ntohl(head[0]);
	*length = ntohl(head[1]);
	errno = EMSGSIZE;
	if (*length > MESSAGE_BYTES_MAX)
		return false;
	*bytes = calloc(1, *length + 1);
	return *bytes != NULL && receive_all(file, *bytes, *length);
}

static int32_t take_answer(int file, const struct remote_call *call, char **words, int *said)
{
	uint32_t kind = PRELOAD_MESSAGE;
	size_t length;
	char *bytes = NULL;

	while (wait_for_part(file, call) && receive_part(file, &kind, &bytes, &length)) {
		if (kind != PRELOAD_MESSAGE) {
			*words = bytes;
			return (int32_t)kind;
		}
		*said = call->fn(call->arg, (const uint8_t *)bytes, length);
		free(bytes);
		bytes = NULL;
		if (*said != EXIT_DONE)
			return INTERNAL;
	}
	free(bytes);
	return fail(UNAVAILABLE, words);
}

int32_t remote_plain(const struct remote_call *call, char **words, int *said)
{
	int32_t code;
	int file;

	*words = NULL;
	*said = EXIT_DONE;
	if (open_socket(call, &file) && send_request(file, call))
		code = take_answer(file, call, words, said);
	else
		code = fail(UNAVAILABLE, words);
	if (file >= 0)
		close(file);
	return code;
}
