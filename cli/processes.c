/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of this user that serve at a private Unix socket: PID.START.RANDOM.sock, or .plain
 * for programs that `rpcprof run' records, in a directory that is this user's. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/remote_internal.h"

static int directory_name(char **path)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length = runtime != NULL && runtime[0] == '/'
	                     ? asprintf(path, "%s/rpcprof", runtime)
	                     : asprintf(path, "/tmp/rpcprof-%u", (unsigned int)geteuid());

	if (length >= 0)
		return EXIT_DONE;
	*path = NULL;
	(void)complain(EXIT_SYSTEM, "out of memory");
	return EXIT_SYSTEM;
}

/* The process that a socket's name names, if it is alive; else 0. What a process that was killed
 * left behind stays. */
static long process_of(const char *name)
{
	const char *kind = strrchr(name, '.');
	char *end;
	long pid = strtol(name, &end, 10);

	if (kind == NULL || end == name || *end != '.' || pid <= 0 ||
	    (strcmp(kind, ".sock") != 0 && strcmp(kind, ".plain") != 0))
		return 0;
	return kill((pid_t)pid, 0) == 0 || errno == EPERM ? pid : 0;
}

/* Names to choose from, for the complaint. */
struct found {
	char *address; /* of the first that fits */
	char *list;
	size_t count;
};

static int note(struct found *found, const char *directory, const char *name)
{
	const char *scheme = strstr(name, ".plain") != NULL ? "plain" : "unix";
	char *longer;

	if (found->count++ == 0 &&
	    asprintf(&found->address, "%s:%s/%s", scheme, directory, name) < 0) {
		found->address = NULL;
		return complain(EXIT_SYSTEM, "out of memory");
	}
	if (asprintf(&longer, "%s %ld", found->list != NULL ? found->list : "", process_of(name)) < 0)
		return complain(EXIT_SYSTEM, "out of memory");
	free(found->list);
	found->list = longer;
	return EXIT_DONE;
}

static int look(struct found *found, const char *path, long wanted)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;
	int status = EXIT_DONE;

	if (directory == NULL)
		return EXIT_DONE; /* nobody has served yet */
	while (status == EXIT_DONE && (entry = readdir(directory)) != NULL) {
		long pid = process_of(entry->d_name);

		if (pid != 0 && (wanted == 0 || pid == wanted))
			status = note(found, path, entry->d_name);
	}
	closedir(directory);
	return status;
}

static int judge(const struct found *found, const char *path, long wanted)
{
	if (found->count == 1)
		return EXIT_DONE;
	if (found->count > 1)
		return complain(EXIT_USAGE, "several processes serve; say which by --address:%s",
		                found->list);
	if (wanted != 0)
		return complain(EXIT_REMOTE, "process %ld serves at no private socket in %s; give its "
		                "address by --address=unix:PATH or HOST:PORT", wanted, path);
	return complain(EXIT_REMOTE, "no process serves at a private socket in %s; say which by "
	                "--address, or have it call rpcprof_grpc_service_open()", path);
}

int remote_find(long wanted, char **address)
{
	struct found found = {0};
	char *path;
	int status = directory_name(&path);

	if (status == EXIT_DONE)
		status = look(&found, path, wanted);
	if (status == EXIT_DONE)
		status = judge(&found, path, wanted);
	free(path);
	free(found.list);
	if (status == EXIT_DONE)
		*address = found.address;
	else
		free(found.address);
	return status;
}
