/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cases that another process measures: peers, and our own at another N. It says what it has in one
 * line, names apart by blanks; then, for each name it reads from its standard input, it does one
 * round and answers with the nanoseconds per operation; at the input's end it ends. So its rounds
 * alternate with everyone else's.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

struct bench_process {
	pid_t pid;
	FILE *to, *from;
	char names[512]; /* each with a blank before and after it */
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static pid_t spawn(const char *command, int in[2], int out[2])
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	(void)dup2(in[0], STDIN_FILENO);
	(void)dup2(out[1], STDOUT_FILENO);
	(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

struct bench_process *bench_process_start(const char *command)
{
	struct bench_process *process = calloc(1, sizeof(*process));
	int in[2], out[2];

	/* Closed on exec: else each would hold the others' inputs open. */
	if (process == NULL || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		fail("bench: pipe");
	process->pid = spawn(command, in, out);
	if (process->pid < 0)
		fail("bench: fork");
	(void)close(in[0]);
	(void)close(out[1]);
	process->to = fdopen(in[1], "w");
	process->from = fdopen(out[0], "r");
	process->names[0] = ' ';
	if (process->to == NULL || process->from == NULL)
		fail("bench: fdopen");
	if (fgets(process->names + 1, sizeof(process->names) - 1, process->from) == NULL) {
		fprintf(stderr, "bench: left out, since it does not start: %s\n", command);
		bench_process_stop(process);
		return NULL;
	}
	process->names[strcspn(process->names, "\n")] = ' ';
	return process;
}

bool bench_process_has(const struct bench_process *process, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = process->names; (at = strstr(at, name)) != NULL; at += length)
		if (at[-1] == ' ' && at[length] == ' ')
			return true;
	return false;
}

void bench_process_ask(struct bench_process *process, const char *line, double *answers,
                       unsigned count)
{
	fprintf(process->to, "%s\n", line);
	(void)fflush(process->to);
	for (unsigned i = 0; i < count; i++)
		if (fscanf(process->from, "%lf", &answers[i]) != 1) {
			fprintf(stderr, "bench: no answer to '%s': process %d has ended\n", line,
			        (int)process->pid);
			exit(1);
		}
}

double bench_process_round(struct bench_process *process, const char *name)
{
	double ns;

	bench_process_ask(process, name, &ns, 1);
	return ns;
}

void bench_process_stop(struct bench_process *process)
{
	(void)fclose(process->to);
	(void)fclose(process->from);
	(void)waitpid(process->pid, NULL, 0);
	free(process);
}

/* The other end: this process measures these cases. */
int bench_serve(const struct bench_case *cases)
{
	char line[128];

	for (const struct bench_case *test = cases; test->name != NULL; test++)
		printf("%s ", test->name);
	printf("\n");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		const struct bench_case *test = cases;

		line[strcspn(line, "\n")] = '\0';
		while (test->name != NULL && strcmp(test->name, line) != 0)
			test++;
		if (test->name == NULL)
			return 1;
		printf("%.6f\n", bench_measure(test, 1));
		(void)fflush(stdout);
	}
	return 0;
}
