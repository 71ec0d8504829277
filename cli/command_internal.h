/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_COMMAND_INTERNAL_H
#define RPCPROF_COMMAND_INTERNAL_H

/* The command's frame: one row of a table and one file per subcommand. */
#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_USAGE = 1,
	EXIT_BAD_INPUT = 2, /* a file is not what it should be, or does not fit the others */
	EXIT_SYSTEM = 3,    /* a file or memory cannot be had, or written */
	EXIT_REMOTE = 4     /* a process did not answer, or refused */
};

struct command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv); /* argv[0] is "rpcprof NAME"; returns an exit_code */
};

int command_autopgo(int argc, char **argv);
int command_config(int argc, char **argv);
int command_convert(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_disable(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_enable(int argc, char **argv);
int command_flame(int argc, char **argv);
int command_inflight(int argc, char **argv);
int command_merge(int argc, char **argv);
int command_profile(int argc, char **argv);
int command_pull(int argc, char **argv);
int command_push(int argc, char **argv);
int command_report(int argc, char **argv);
int command_snapshot(int argc, char **argv);
int command_run(int argc, char **argv);
int command_status(int argc, char **argv);
int command_top(int argc, char **argv);
int command_trace(int argc, char **argv);

/* One line on stderr, "rpcprof: ...". Returns code. */
__attribute__((format(printf, 2, 3))) int complain(enum exit_code code, const char *format, ...);

/* Flushes stdout: EXIT_DONE, or a complaint if something could not be written. */
int finish_stdout(void);

/* A bar on stderr if that is a terminal and more than a second has gone by: so much of what there is
 * is done; or the answer takes so long, 0: nobody knows how long. To be called again and again. */
void progress(const char *what, size_t done, size_t whole);
void progress_wait(const char *what, uint64_t whole_ns);
/* Takes it away again. */
void progress_end(void);
#define PROGRESS_CLEAR "\r\033[K"

/* If a signal ends the command it takes this away first: the bar; the file that is being written,
 * made as by mkostemp(). */
void interrupt_clears_line(bool shown);
int interrupt_create(char *path);
void interrupt_forgets_file(void);

/* A whole number of 1 and up for an option; else ends by argp_error(). */
size_t parse_count(struct argp_state *state, const char *option, const char *text);

/* Nanoseconds of "5ms": a number and ns, us, ms, s, m or h; else ends by argp_error(). */
uint64_t parse_duration(struct argp_state *state, const char *option, const char *text);

/* What a file holds, without blanks at its end; NULL if path is. An exit_code. secret_free() leaves
 * no trace of it. */
int secret_read(const char *path, char **text);
void secret_free(char *text);

/* A file that is written whole or not at all: beside it, then renamed. "-" is stdout. */
struct output {
	FILE *stream;
	const char *path;
	char *temporary; /* NULL for stdout, devices and pipes */
};

/* `what` it is, if it is nothing for terminals, "a profile"; else NULL. An exit_code. */
int output_open(struct output *output, const char *path, const char *what);
/* Puts the file in place if status is EXIT_DONE and all could be written, else leaves what was
 * there. Returns status, or EXIT_SYSTEM after a complaint. */
int output_close(struct output *output, int status);

/* The same of bytes of a profile. */
int write_file(const char *path, const uint8_t *bytes, size_t length);

#endif
