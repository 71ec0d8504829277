/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections. Who sends its request byte by byte, or takes its answer so, is not idle: what counts
 * is when a whole request has come, and a whole answer gone.
 */
#include "pull/pull_internal.h"

#define S 1000000000ll

int64_t pull_receive_ns = 10 * S;
int64_t pull_send_ns = 60 * S;

static void begin(struct pull *pull, struct MHD_Connection *connection, void **context)
{
	int file = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;

	for (uint32_t i = 0; i < PULL_CONNECTIONS_MAX; i++) {
		struct pull_connection *slot = &pull->connections[i];

		if (slot->file >= 0)
			continue;
		slot->until_ns = pull_now_ns() + pull_receive_ns;
		__atomic_store_n(&slot->file, file, __ATOMIC_RELAXED);
		*context = slot;
		break;
	}
	pull_count(pull, &pull->stats.connections, 1);
}

/* Forgotten before it is closed: its number may be someone else's a moment later. */
static void end(struct pull *pull, struct pull_connection *slot)
{
	__atomic_store_n(&slot->file, -1, __ATOMIC_RELAXED);
	pull_count(pull, &pull->stats.connections, -1);
}

void pull_connection_notify(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		begin(arg, connection, context);
	else
		end(arg, *context);
}

int64_t pull_connections_expire(struct pull *pull, int64_t now_ns)
{
	int64_t next = PULL_NEVER;

	for (uint32_t i = 0; i < PULL_CONNECTIONS_MAX; i++) {
		struct pull_connection *slot = &pull->connections[i];

		if (slot->file < 0)
			continue;
		if (slot->until_ns <= now_ns) {
			/* libmicrohttpd then sees its end, and closes it. */
			shutdown(slot->file, SHUT_RDWR);
			slot->until_ns = PULL_NEVER;
			pull_count(pull, &pull->stats.too_slow, 1);
		}
		if (slot->until_ns < next)
			next = slot->until_ns;
	}
	return next;
}
