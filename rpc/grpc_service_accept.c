/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a private address: accepted here, then core's. Core does not say when one is over,
 * so a second descriptor of each is kept to see that; while there are as many as may be, others
 * wait in the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h> /* core 1.83 */
#else
#include <grpc/grpc_security.h> /* core 1.51 */
#endif
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/grpc_service_internal.h"
#include "rpcprof/control.h"
#include "thread_internal.h"

static bool may_connect(const struct grpc_accepter *accepter, int file)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (!accepter->address.is_unix)
		return true;
	if (getsockopt(file, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	    (peer.uid == geteuid() || peer.uid == 0))
		return true;
	rpcprof_log(RPCPROF_LOG_WARNING, "service: a connection by user %u was refused; only user "
	            "%u and root may", (unsigned)peer.uid, (unsigned)geteuid());
	return false;
}

static void accept_one(struct grpc_accepter *accepter)
{
	int file = accept4(accepter->address.file, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	grpc_server_credentials *credentials;
	int second;

	if (file < 0) {
		/* It went away. Or it waits, for want of descriptors: so do we, a little. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			(void)poll(NULL, 0, 100);
		return;
	}
	second = may_connect(accepter, file) ? fcntl(file, F_DUPFD_CLOEXEC, 0) : -1;
	if (second < 0) {
		close(file);
		return;
	}
	accepter->open[accepter->open_count++] = second;
	credentials = grpc_insecure_server_credentials_create();
	grpc_server_add_channel_from_fd(accepter->server, file, credentials);
	grpc_server_credentials_release(credentials);
}

/* Lets go of the connections that are over. */
static void reap(struct grpc_accepter *accepter, const struct pollfd *events)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < accepter->open_count; i++) {
		if (events[i].revents != 0)
			close(accepter->open[i]);
		else
			accepter->open[kept++] = accepter->open[i];
	}
	accepter->open_count = kept;
}

static void *run(void *arg)
{
	struct grpc_accepter *accepter = arg;
	struct pollfd events[2 + GRPC_CONNECTIONS_MAX];

	for (;;) {
		bool full = accepter->open_count == GRPC_CONNECTIONS_MAX;
		unsigned before = accepter->open_count;

		events[0] = (struct pollfd){accepter->wake, POLLIN, 0};
		events[1] = (struct pollfd){full ? -1 : accepter->address.file, POLLIN, 0};
		for (unsigned i = 0; i < before; i++)
			events[2 + i] = (struct pollfd){accepter->open[i], POLLRDHUP, 0};
		if (poll(events, 2 + before, -1) < 0)
			continue; /* all signals are blocked: only for want of kernel memory */
		if (events[0].revents != 0)
			return NULL;
		reap(accepter, &events[2]);
		if (events[1].revents != 0)
			accept_one(accepter);
	}
}

int rpcprof_grpc_accepter_start(struct grpc_accepter *accepter)
{
	int error;

	accepter->wake = eventfd(0, EFD_CLOEXEC);
	if (accepter->wake < 0)
		return -errno;
	error = rpcprof_thread_start(&accepter->thread, "rpcprof-accept", run, accepter);
	if (error != 0) {
		close(accepter->wake);
		accepter->wake = -1;
	}
	return error;
}

void rpcprof_grpc_accepter_stop(struct grpc_accepter *accepter)
{
	const uint64_t one = 1;

	if (accepter->wake < 0)
		return;
	(void)!write(accepter->wake, &one, sizeof(one));
	pthread_join(accepter->thread, NULL);
	close(accepter->wake);
	accepter->wake = -1;
	for (unsigned i = 0; i < accepter->open_count; i++)
		close(accepter->open[i]);
	accepter->open_count = 0;
}
