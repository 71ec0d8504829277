/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_QUIET_FORK_H
#define RPCPROF_TESTS_QUIET_FORK_H

/* fork() for a child that allocates. The sanitizers' allocators, unlike libc's, do nothing at a fork:
 * one that another thread had locked is locked in the child for ever. With a sanitizer it is
 * therefore done while all other threads sleep; they are not in it then. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FORKS_QUIETLY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FORKS_QUIETLY 1
#endif
#endif
#ifndef FORKS_QUIETLY
#define FORKS_QUIETLY 0
#endif

static inline bool thread_sleeps(const char *id)
{
	char path[64], line[128] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", id);
	file = fopen(path, "re");
	if (file == NULL)
		return true; /* it has ended */
	state = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
	fclose(file);
	return state != NULL && state[2] == 'S';
}

static inline bool others_sleep(void)
{
	DIR *tasks = opendir("/proc/self/task");
	bool all = tasks != NULL;

	for (struct dirent *task; all && (task = readdir(tasks)) != NULL;)
		all = task->d_name[0] == '.' || atoi(task->d_name) == gettid() ||
		      thread_sleeps(task->d_name);
	if (tasks != NULL)
		closedir(tasks);
	return all;
}

static inline pid_t quiet_fork(void)
{
	while (FORKS_QUIETLY && !(others_sleep() && others_sleep()))
		usleep(1000);
	return fork();
}

#endif
