/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program is run with librpcprof_preload.so before it. This process becomes the program: its
 * process id, its signals and its exit status are its own.
 */
#include "cli/command_internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "preload/preload_internal.h"

#define LIBRARY "librpcprof_preload.so"
#define NOT_EXECUTABLE 126 /* as env(1) and the shells say it */
#define NOT_FOUND 127

struct arguments {
	const char *output, *address;
	bool follow, off;
	char **program; /* and its arguments */
};

/* Beside the command in a build tree; where it is installed else. */
static bool find_library(char path[PATH_MAX])
{
	static const char *const places[] = {LIBRARY, PRELOAD_DIRECTORY "/" LIBRARY};
	ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *name;

	if (length <= 0)
		return false;
	path[length] = '\0';
	name = strrchr(path, '/') + 1;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(name, (size_t)(path + PATH_MAX - name), "%s", places[i]);
		if (access(path, R_OK) == 0)
			return true;
	}
	return false;
}

/* As execvp() will find it; NULL: it will not. */
static char *find_program(const char *name)
{
	const char *list = getenv("PATH");
	char *copy, *rest, *directory, *path = NULL;

	if (strchr(name, '/') || !list)
		return strdup(name);
	copy = rest = strdup(list);
	while (!path && (directory = strsep(&rest, ":")) != NULL) {
		if (asprintf(&path, "%s/%s", *directory ? directory : ".", name) < 0)
			break;
		if (access(path, X_OK) != 0) {
			free(path);
			path = NULL;
		}
	}
	free(copy);
	return path;
}

/* Why the dynamic linker will not load a library before this program; NULL: it will. */
static const char *elf_obstacle(int file, const Elf64_Ehdr *header)
{
	Elf64_Phdr segment;

	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return "it is not a 64-bit program";
	for (unsigned i = 0; i < header->e_phnum; i++) {
		if (pread(file, &segment, sizeof(segment),
		          (off_t)(header->e_phoff + i * sizeof(segment))) != sizeof(segment))
			break;
		if (segment.p_type == PT_INTERP)
			return NULL;
	}
	return "it is linked statically; see rpcprof(3) for the other ways in";
}

static const char *obstacle(const char *path, bool follow)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	const char *why = NULL;
	Elf64_Ehdr header;
	struct stat stat;

	if (file < 0)
		return NULL; /* execvp() will tell */
	memset(&header, 0, sizeof(header));
	if (fstat(file, &stat) == 0 && (stat.st_mode & (S_ISUID | S_ISGID)) && geteuid() != 0)
		why = "it runs as another user";
	else if (pread(file, &header, sizeof(header), 0) < 2)
		why = NULL;
	else if (memcmp(header.e_ident, "#!", 2) == 0 && !follow)
		why = "it is a script; --follow records the programs that it starts";
	else if (memcmp(header.e_ident, ELFMAG, SELFMAG) == 0)
		why = elf_obstacle(file, &header);
	close(file);
	return why;
}

static void warn_of_obstacle(const char *name, bool follow)
{
	char *path = find_program(name);
	const char *why = path ? obstacle(path, follow) : NULL;

	if (why)
		complain(EXIT_DONE, "%s will not be recorded: %s", path, why);
	free(path);
}

/* Each process its own file, where there may be several. */
static char *output_pattern(const struct arguments *arguments)
{
	char *pattern = NULL;

	if (!arguments->output)
		return strdup("rpcprof.%p.jsonl");
	if (!arguments->follow || strstr(arguments->output, "%p"))
		return strdup(arguments->output);
	return asprintf(&pattern, "%%p.%s", arguments->output) < 0 ? NULL : pattern;
}

static int set_environment(const struct arguments *arguments, const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *pattern = output_pattern(arguments), *list = NULL;
	char process[16];
	int failed;

	snprintf(process, sizeof(process), "%d", (int)getpid());
	failed = !pattern || asprintf(&list, others && *others ? "%s:%s" : "%s", library, others) < 0;
	failed = failed || setenv("LD_PRELOAD", list, 1) != 0 ||
	         setenv(PRELOAD_OUTPUT, pattern, 1) != 0 ||
	         setenv(PRELOAD_PROCESS, process, 1) != 0 ||
	         (arguments->address && setenv(PRELOAD_CONTROL, arguments->address, 1) != 0) ||
	         setenv(PRELOAD_FOLLOW, arguments->follow ? "1" : "0", 1) != 0 ||
	         setenv(PRELOAD_OFF, arguments->off ? "1" : "0", 1) != 0;
	free(list);
	free(pattern);
	return failed ? -1 : 0;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'o':
		if (strlen(argument) >= PRELOAD_PATH_MAX / 2)
			argp_error(state, "-o: the name has %zu bytes, at most %d are taken",
			           strlen(argument), PRELOAD_PATH_MAX / 2 - 1);
		arguments->output = argument;
		return 0;
	case 'a':
		if (strcmp(argument, "none") != 0 && strncmp(argument, "unix:/", 6) != 0 &&
		    strncmp(argument, "unix-abstract:", 14) != 0)
			argp_error(state, "--address %s: name unix:/PATH, unix-abstract:NAME or none",
			           argument);
		arguments->address = argument;
		return 0;
	case 'f':
		arguments->follow = true;
		return 0;
	case 'x':
		arguments->off = true;
		return 0;
	case ARGP_KEY_ARG:
		arguments->program = &state->argv[state->next - 1];
		state->next = state->argc; /* the rest is the program's */
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no program: rpcprof run [OPTION...] -- PROGRAM [ARGUMENT...]");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int command_run(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"output", 'o', "FILE", 0,
	         "Where the calls are written when the program ends: .json, .jsonl, a profile as "
	         ".pb.gz, else a table; %p is the process id (default rpcprof.%p.jsonl)", 0},
		{"address", 'a', "ADDRESS", 0,
	         "Where the program answers: unix:/PATH, unix-abstract:NAME, or none (default a socket "
	         "in $XDG_RUNTIME_DIR/rpcprof, else in /tmp/rpcprof-UID)", 0},
		{"follow", 'f', NULL, 0, "Programs that it starts are recorded too", 0},
		{"off", 'x', NULL, 0, "Recording starts switched off", 0},
		{0},
	};
	static const struct argp argp = {
		options, parse, "PROGRAM [ARGUMENT...]",
		"Runs a program that uses the shared library of gRPC core, and records its calls.", NULL,
		NULL, NULL};
	struct arguments arguments = {0};
	char library[PATH_MAX];

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments);
	if (!find_library(library))
		return complain(EXIT_SYSTEM, "%s is neither beside this command nor in %s beside it; "
		                "install rpcprof whole", LIBRARY, PRELOAD_DIRECTORY);
	if (strpbrk(library, ": "))
		return complain(EXIT_SYSTEM, "%s: the dynamic linker takes no path with a blank or "
		                "a colon; install rpcprof elsewhere", library);
	warn_of_obstacle(arguments.program[0], arguments.follow);
	if (set_environment(&arguments, library) != 0)
		return complain(EXIT_SYSTEM, "no memory");
	execvp(arguments.program[0], arguments.program);
	return complain(errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE, "%s: %s", arguments.program[0],
	                strerror(errno));
}
