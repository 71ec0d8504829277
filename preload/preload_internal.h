/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PRELOAD_INTERNAL_H
#define RPCPROF_PRELOAD_INTERNAL_H

/* What `rpcprof run` tells the library, and what the library does with it. */
/* Variables that `rpcprof run` sets. Without --follow they are gone before main(). */
#define PRELOAD_OUTPUT "RPCPROF_PRELOAD_OUTPUT"   /* where to write; %p is the process id */
#define PRELOAD_FOLLOW "RPCPROF_PRELOAD_FOLLOW"   /* "1": programs that this one starts too */
#define PRELOAD_OFF "RPCPROF_PRELOAD_OFF"         /* "1": recording starts switched off */
#define PRELOAD_PROCESS "RPCPROF_PRELOAD_PROCESS" /* process id of the program itself */

/* Where the library is installed, seen from the command. */
#define PRELOAD_DIRECTORY "../lib/rpcprof"

#define PRELOAD_PATH_MAX 4096

/* environment.c: takes this library and its variables out of the environment, in place: main()'s
 * envp is the same array. */
void preload_environment_clean(void);

/* output.c */
void preload_output_open(const char *pattern);
/* Writes the calls, whole or not at all: the form is told by the name, see rpcprof-run(1). 0 or a
 * negative errno. */
int preload_output_write(void);

#endif
