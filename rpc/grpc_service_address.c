/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private address. gRPC core would bind over another process's socket, remove it at the end,
 * and tell nothing of who connects: so it is bound, and later accepted from, here.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/grpc_service_internal.h"
#include "rpcprof/control.h"

#define BACKLOG 16

static int complain(int error, const char *what, const char *path, const char *remedy)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "service: %s: %s; %s", path, what, remedy);
	return error;
}

static int complain_errno(const char *what, const char *path)
{
	int error = -errno;

	rpcprof_log(RPCPROF_LOG_ERROR, "service: %s: cannot %s: %s", path, what, strerror(-error));
	return error;
}

/* Unix sockets. */

/* A directory that is this user's alone, made if it is not there. */
static int check_directory(const char *path)
{
	struct stat stat;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return complain_errno("make this directory", path);
	if (lstat(path, &stat) != 0)
		return complain_errno("look at this directory", path);
	if (!S_ISDIR(stat.st_mode) || stat.st_uid != geteuid() || (stat.st_mode & 077) != 0)
		return complain(-EPERM, "not a directory of this user that is closed to all others",
		                path, "chmod 700 it, or name a path in another one");
	return 0;
}

/* Field 22 of /proc/self/stat: with it a pid names one process and none after it. */
static unsigned long long start_time(void)
{
	FILE *file = fopen("/proc/self/stat", "re");
	unsigned long long start = 0;
	char line[1024], *field;

	if (file == NULL)
		return 0;
	/* The name of the program, in parentheses, may hold anything. */
	if (fgets(line, sizeof(line), file) != NULL && (field = strrchr(line, ')')) != NULL)
		(void)sscanf(field + 1,
		             " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
		             "%*d %*d %*d %llu", &start);
	(void)fclose(file);
	return start;
}

/* PID.START.RANDOM.KIND in a directory of ours. */
static int default_path(char path[PATH_MAX], const char *kind)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uint32_t random;
	size_t length;
	int error;

	if (runtime != NULL && runtime[0] == '/')
		snprintf(path, PATH_MAX, "%s/rpcprof", runtime);
	else
		snprintf(path, PATH_MAX, "/tmp/rpcprof-%u", (unsigned)geteuid());
	error = check_directory(path);
	if (error != 0)
		return error;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return complain_errno("get random bytes", path);
	length = strlen(path);
	snprintf(path + length, PATH_MAX - length, "/%ld.%llu.%08x.%s", (long)getpid(),
	         start_time(), random, kind);
	return 0;
}

static int check_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int error;

	if (slash == NULL || slash == path)
		return complain(-EINVAL, "not an absolute path in a directory of its own", path,
		                "name it in full: unix:/run/user/1000/rpcprof/NAME");
	directory = strndup(path, (size_t)(slash - path));
	if (directory == NULL)
		return -ENOMEM;
	error = check_directory(directory);
	free(directory);
	return error;
}

/* What is at a path that is taken; it is left alone. */
static int taken(const char *path, const struct sockaddr_un *address, socklen_t length)
{
	struct stat stat;
	int file, error;

	if (address->sun_path[0] != '\0') {
		if (lstat(path, &stat) != 0)
			return complain_errno("look at what is there", path);
		if (!S_ISSOCK(stat.st_mode))
			return complain(-EPERM, "there is something that is no socket", path,
			                "name another path");
		if (stat.st_uid != geteuid())
			return complain(-EPERM, "there is a socket of another user", path,
			                "name another path");
	}
	file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (file < 0)
		return complain_errno("make a socket", path);
	error = connect(file, (const struct sockaddr *)address, length) == 0 ? 0 : errno;
	close(file);
	if (error == ECONNREFUSED)
		return complain(-EEXIST, "a socket that nobody listens at is in the way", path,
		                "remove it, if it is what a dead process left");
	return complain(-EADDRINUSE, "another process listens there", path, "name another path");
}

/* 0600 before it has a name: nobody else can ever connect. */
static int bind_unix(struct grpc_address *address, const char *path,
                     const struct sockaddr_un *to, socklen_t length)
{
	struct stat stat;

	address->file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (address->file < 0)
		return complain_errno("make a socket", path);
	if (fchmod(address->file, 0600) != 0)
		return complain_errno("set the mode of the socket", path);
	if (bind(address->file, (const struct sockaddr *)to, length) != 0)
		return errno == EADDRINUSE ? taken(path, to, length)
		                           : complain_errno("make a socket there", path);
	if (to->sun_path[0] != '\0') {
		if (lstat(path, &stat) != 0)
			return complain_errno("find the socket just made", path);
		address->device = stat.st_dev;
		address->inode = stat.st_ino;
		address->path = strdup(path);
		if (address->path == NULL)
			return -ENOMEM;
	}
	if (listen(address->file, BACKLOG) != 0)
		return complain_errno("listen", path);
	return 0;
}

/* path: of the file system, or a name if `abstract`. */
static int open_unix(struct grpc_address *address, const char *path, bool abstract)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int error;

	address->is_unix = true;
	if (length == 0 || length >= sizeof(to.sun_path))
		return complain(length == 0 ? -EINVAL : -ENAMETOOLONG,
		                "the path of a socket has 1 to 107 bytes", path,
		                "name a shorter one, or set XDG_RUNTIME_DIR to a shorter directory");
	memcpy(to.sun_path + abstract, path, length);
	error = abstract ? 0 : check_directory_of(path);
	if (error == 0)
		/* One byte more: the NUL at the end of a path, or before a name. */
		error = bind_unix(address, path, &to,
		                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1));
	if (error == 0 &&
	    asprintf(&address->name, "%s:%s", abstract ? "unix-abstract" : "unix", path) < 0)
		error = -ENOMEM;
	return error;
}

/* TCP. */

/* "HOST:PORT" and "[HOST]:PORT". 0, or -EINVAL, logged. */
static int resolve(const char *text, struct addrinfo **found)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
	                         .ai_socktype = SOCK_STREAM,
	                         .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	const char *colon = strrchr(text, ':');
	char *host;
	size_t length;
	int error;

	if (colon == NULL || colon == text || colon[1] == '\0')
		return complain(-EINVAL, "no address", text,
		                "name unix:PATH, unix-abstract:NAME, HOST:PORT or [ADDRESS]:PORT");
	length = (size_t)(colon - text);
	host = text[0] == '[' && colon[-1] == ']' ? strndup(text + 1, length - 2)
	                                          : strndup(text, length);
	if (host == NULL)
		return -ENOMEM;
	error = getaddrinfo(host, colon + 1, &hints, found);
	free(host);
	return error == 0 ? 0 : complain(-EINVAL, gai_strerror(error), text,
	                                 "name an address of this machine");
}

static bool is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;

	if (address->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

int rpcprof_grpc_address_is_loopback(const char *text)
{
	struct addrinfo *found;
	int error = resolve(text, &found), loopback = 1;

	if (error != 0)
		return error;
	for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
		loopback = loopback && is_loopback(each->ai_addr);
	freeaddrinfo(found);
	return loopback;
}

static int name_tcp(struct grpc_address *address)
{
	struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(bound);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(address->file, (struct sockaddr *)&bound, &length) != 0 ||
	    getnameinfo((struct sockaddr *)&bound, length, host, sizeof(host), port, sizeof(port),
	                NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -EIO;
	return asprintf(&address->name, bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
	                port) < 0 ? -ENOMEM : 0;
}

static int open_tcp(struct grpc_address *address, const char *text)
{
	struct addrinfo *found;
	const int yes = 1;
	int error = resolve(text, &found);

	if (error != 0)
		return error;
	address->file = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (address->file < 0)
		error = complain_errno("make a socket", text);
	else if (setsockopt(address->file, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
	         bind(address->file, found->ai_addr, found->ai_addrlen) != 0 ||
	         listen(address->file, BACKLOG) != 0)
		error = complain_errno("listen", text);
	freeaddrinfo(found);
	return error != 0 ? error : name_tcp(address);
}

int rpcprof_grpc_address_open(struct grpc_address *address, const char *text, const char *kind)
{
	static const char in_files[] = "unix:", abstract[] = "unix-abstract:";
	char path[PATH_MAX];
	int error = 0;

	*address = (struct grpc_address){.file = -1};
	if (text == NULL) {
		error = default_path(path, kind);
		if (error == 0)
			error = open_unix(address, path, false);
	} else if (strncmp(text, in_files, sizeof(in_files) - 1) == 0) {
		error = open_unix(address, text + sizeof(in_files) - 1, false);
	} else if (strncmp(text, abstract, sizeof(abstract) - 1) == 0) {
		error = open_unix(address, text + sizeof(abstract) - 1, true);
	} else {
		error = open_tcp(address, text);
	}
	if (error != 0)
		rpcprof_grpc_address_close(address);
	return error;
}

void rpcprof_grpc_address_close(struct grpc_address *address)
{
	struct stat stat;

	if (address->file >= 0)
		close(address->file);
	/* Somebody may have put something else there. */
	if (address->path != NULL && lstat(address->path, &stat) == 0 &&
	    stat.st_dev == address->device && stat.st_ino == address->inode)
		(void)unlink(address->path);
	free(address->path);
	free(address->name);
	*address = (struct grpc_address){.file = -1};
}
