/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pull/pull_internal.h"
#include "rpcprof/control.h"

#define BACKLOG 64

static int complain(int error, const char *address, const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_pull_start: %s: %s", address, what);
	return error;
}

static int resolve(const char *address, const char *host, struct addrinfo **found)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
	                         .ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	const char *port = strrchr(address, ':');
	int error;

	/* After the last colon of an address in brackets there may be no port. */
	if (port == NULL || port[1] == '\0' || strchr(port, ']') != NULL)
		return complain(-EINVAL, address, "name HOST:PORT or [ADDRESS]:PORT");
	error = getaddrinfo(host, port + 1, &hints, found);
	return error == 0 ? 0 : complain(-EINVAL, address, gai_strerror(error));
}

static bool are_loopback(const struct addrinfo *found)
{
	for (; found != NULL; found = found->ai_next)
		if (!pull_is_loopback(found->ai_addr))
			return false;
	return true;
}

/* Whether such an address may be served so. */
static int check(const struct rpcprof_pull_config *config, const struct addrinfo *found)
{
	if (are_loopback(found))
		return 0;
	if (config->tokens.read == NULL && config->tokens.control == NULL)
		return complain(-EINVAL, config->address,
		                "an address that is not loopback takes tokens: set tokens.read, "
		                "tokens.control");
	if (config->tls_key_file == NULL && !config->insecure_plaintext_token)
		return complain(-EINVAL, config->address,
		                "an address that is not loopback takes TLS: set tls_certificate_file "
		                "and tls_key_file; or insecure_plaintext_token, where something else "
		                "encrypts");
	return 0;
}

static int bind_and_listen(const char *address, const struct addrinfo *to)
{
	const int yes = 1;
	int error, file = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (file < 0)
		return complain(-errno, address, strerror(errno));
	if (setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    bind(file, to->ai_addr, to->ai_addrlen) == 0 && listen(file, BACKLOG) == 0)
		return file;
	error = -errno;
	close(file);
	return complain(error, address, error == -EADDRINUSE
	                                        ? "somebody listens there; port 0 is one that is free"
	                                        : strerror(-error));
}

int pull_listen(const struct rpcprof_pull_config *config, char **host)
{
	char name[256];
	struct addrinfo *found;
	int file;

	if (!pull_host_split(config->address, name, sizeof(name)))
		return complain(-EINVAL, config->address, "name HOST:PORT or [ADDRESS]:PORT");
	file = resolve(config->address, name, &found);
	if (file != 0)
		return file;
	*host = strdup(name);
	file = *host != NULL ? check(config, found) : -ENOMEM;
	if (file == 0)
		file = bind_and_listen(config->address, found);
	freeaddrinfo(found);
	return file;
}

void pull_name(int listener, bool tls, char *out, size_t room)
{
	struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(bound);
	char host[64] = "", port[8] = "";

	(void)getsockname(listener, (struct sockaddr *)&bound, &length);
	(void)getnameinfo((struct sockaddr *)&bound, length, host, sizeof(host), port, sizeof(port),
	                  NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, room, bound.ss_family == AF_INET6 ? "http%s://[%s]:%s" : "http%s://%s:%s",
	         tls ? "s" : "", host, port);
}
