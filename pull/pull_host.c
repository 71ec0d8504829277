/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Host header. A page of a stranger's can have a browser on this machine ask us, under a name
 * that it lets point here. Then the header has that name: what it may say is known beforehand.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "pull/pull_internal.h"

bool pull_host_split(const char *text, char *host, size_t room)
{
	bool brackets = text[0] == '[';
	size_t length = strcspn(text + brackets, brackets ? "]" : ":");
	const char *rest = text + brackets + length;

	if (brackets && *rest++ != ']')
		return false;
	if (length == 0 || length >= room)
		return false;
	if (*rest == ':')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (*rest != '\0')
		return false;
	memcpy(host, text + brackets, length);
	host[length] = '\0';
	return true;
}

/* As an IPv6 address, whichever it is. */
static bool parse(const char *text, struct in6_addr *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, 0xff};

	if (inet_pton(AF_INET6, text, address) == 1)
		return true;
	memcpy(address->s6_addr, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, address->s6_addr + sizeof(mapped)) == 1;
}

static struct in6_addr address_of(const struct sockaddr *from)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
	struct in6_addr address = IN6ADDR_ANY_INIT;

	if (from->sa_family == AF_INET6)
		return v6->sin6_addr;
	if (from->sa_family == AF_INET) {
		address.s6_addr[10] = address.s6_addr[11] = 0xff;
		memcpy(address.s6_addr + 12, &v4->sin_addr, 4);
	}
	return address;
}

static bool is_loopback(const struct in6_addr *address)
{
	return IN6_IS_ADDR_LOOPBACK(address) ||
	       (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

bool pull_is_loopback(const struct sockaddr *address)
{
	struct in6_addr as = address_of(address);

	return is_loopback(&as);
}

bool pull_host_is_ours(const char *host, const struct sockaddr *local, const char *const *names)
{
	struct in6_addr address, here = address_of(local);
	char name[256];

	if (host == NULL || !pull_host_split(host, name, sizeof(name)))
		return false;
	if (parse(name, &address))
		if (is_loopback(&address) || memcmp(&address, &here, sizeof(here)) == 0)
			return true;
	for (; *names != NULL; names++)
		if (strcasecmp(name, *names) == 0)
			return true;
	return strcasecmp(name, "localhost") == 0;
}
