/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label: a program that `rpcprof run` records. A forked child asks its parent for labels and prints
 * the answers. It has of rpcprof what asks alone (export/parent.c), so it finds the channel itself.
 */
#include <grpc/grpc.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "export/channel_internal.h"
#include "rpcprof/export.h"

static int option(int file, int name)
{
	socklen_t size = sizeof(int);
	int value;

	return getsockopt(file, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static int channel;

int rpcprof_channel_parent(void)
{
	return channel;
}

/* No other is of its kind, until one asks. */
static int find_channel(void)
{
	for (int file = 3; file < 256; file++)
		if (option(file, SO_DOMAIN) == AF_UNIX && option(file, SO_TYPE) == SOCK_SEQPACKET)
			return file;
	return -1;
}

int main(void)
{
	grpc_completion_queue *queue;
	pid_t child;
	int status;

	grpc_init();
	queue = grpc_completion_queue_create_for_pluck(NULL); /* of use: recording begins */
	child = fork();
	if (child == 0) {
		channel = find_channel();
		dprintf(STDOUT_FILENO, "%d ", rpcprof_parent_set_label("region", "south", 60000));
		dprintf(STDOUT_FILENO, "%d", rpcprof_parent_set_label("no good", "x", 60000));
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	grpc_completion_queue_shutdown(queue);
	grpc_completion_queue_destroy(queue);
	grpc_shutdown();
	return 0;
}
