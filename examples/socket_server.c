/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No framework: a line server and its client on a socket pair, recorded by rpcprof/call.h.
 *
 * The protocol: a line "METHOD ARGUMENT" gets a line "STATUS RESULT"; 0 is success, 12 "no such
 * method", as the recorder expects it.
 */
#include <ctype.h>
#include <pthread.h>
#include <rpcprof/call.h>
#include <rpcprof/dump.h>
#include <rpcprof/rpcprof.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OK = 0, BAD_LINE = 3 };

static int handle(const char *method, char *argument)
{
	if (strcmp(method, "upper") != 0)
		return RPCPROF_CALL_UNIMPLEMENTED;
	for (char *p = argument; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return OK;
}

/* One request: its Stat begins when the line is here, and ends when the answer is written. */
static void serve_line(FILE *socket, char *line)
{
	struct rpcprof_call call;
	char *argument = strchr(line, ' ');
	int status = BAD_LINE;

	rpcprof_call_begin(&call, RPCPROF_TAG_SERVER);
	rpcprof_call_set_connection(&call, rpcprof_call_connection("socketpair", 10));
	RPCPROF_LAP(rpcprof_call_stat(&call), "/handler");
	if (argument) {
		*argument++ = '\0';
		rpcprof_call_set_method_name(&call, line, strlen(line));
		status = handle(line, argument);
	}
	RPCPROF_LAP(rpcprof_call_stat(&call), "/send");
	fprintf(socket, "%d %s\n", status, status == OK ? argument : "");
	fflush(socket);
	rpcprof_call_set_status(&call, status);
	rpcprof_call_end(&call);
}

static void *serve(void *arg)
{
	FILE *socket = arg;
	char line[256];

	while (fgets(line, sizeof(line), socket)) {
		line[strcspn(line, "\n")] = '\0';
		serve_line(socket, line);
	}
	fclose(socket);
	return NULL;
}

/* A call by the client: the status; -1 if the connection is gone. */
static int ask(FILE *socket, const char *method, const char *argument)
{
	uint32_t name = rpcprof_call_declare_method(method, strlen(method));
	struct rpcprof_call call;
	char line[256];
	int status = -1;

	rpcprof_call_begin(&call, RPCPROF_TAG_CLIENT);
	rpcprof_call_set_method(&call, name);
	RPCPROF_LAP(rpcprof_call_stat(&call), "/send");
	fprintf(socket, "%s %s\n", method, argument);
	fflush(socket);
	RPCPROF_LAP(rpcprof_call_stat(&call), "/recv");
	if (fgets(line, sizeof(line), socket)) {
		status = (int)strtol(line, NULL, 10);
		rpcprof_call_set_status(&call, status);
	} else {
		rpcprof_call_abort(&call, 1);
	}
	rpcprof_call_end(&call);
	return status;
}

int main(void)
{
	int ends[2];
	pthread_t server;
	FILE *client;
	int good;

	if (rpcprof_init(NULL) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		return EXIT_FAILURE;
	rpcprof_enable(true);
	pthread_create(&server, NULL, serve, fdopen(ends[0], "r+"));
	client = fdopen(ends[1], "r+");
	good = ask(client, "upper", "hello") == OK;
	good &= ask(client, "upper", "world") == OK;
	good &= ask(client, "lower", "HELLO") == RPCPROF_CALL_UNIMPLEMENTED;
	fclose(client);
	pthread_join(server, NULL);
	good &= rpcprof_dump(stdout, NULL) == 6;
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
