/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control PATH METHOD: asks a preloaded program; the message is stdin. Prints the messages of the
 * answer; the exit status is the gRPC status.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload/preload_internal.h"

static char bytes[1 << 20];

static void must(int right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "control: %s\n", what);
	exit(100);
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int file = socket(AF_UNIX, SOCK_STREAM, 0);
	uint32_t head[2];
	size_t length;

	must(argc == 3, "control PATH METHOD");
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", argv[1]);
	must(connect(file, (struct sockaddr *)&to, sizeof(to)) == 0, "cannot connect");
	length = fread(bytes, 1, sizeof(bytes), stdin);
	head[0] = htonl((uint32_t)strlen(argv[2]));
	head[1] = htonl((uint32_t)length);
	(void)!send(file, head, sizeof(head), MSG_NOSIGNAL);
	(void)!send(file, argv[2], strlen(argv[2]), MSG_NOSIGNAL);
	(void)!send(file, bytes, length, MSG_NOSIGNAL);
	for (;;) {
		must(recv(file, head, sizeof(head), MSG_WAITALL) == sizeof(head), "no answer");
		length = ntohl(head[1]);
		must(length <= sizeof(bytes) &&
		     (length == 0 || recv(file, bytes, length, MSG_WAITALL) == (ssize_t)length),
		     "half an answer");
		if (ntohl(head[0]) != PRELOAD_MESSAGE)
			break;
		fwrite(bytes, 1, length, stdout);
	}
	fprintf(stderr, "%.*s\n", (int)length, bytes);
	return (int)ntohl(head[0]);
}
