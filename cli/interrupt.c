/* SPDX-License-Identifier: Apache-2.0 */
/* What Ctrl-C leaves behind: nothing. The process then ends as if it had not been caught. */
#include "cli/command_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096

static volatile sig_atomic_t line_shown, file_there;
static char file[PATH_BYTES_MAX];

static void on_interrupt(int number)
{
	if (line_shown)
		(void)!write(STDERR_FILENO, PROGRESS_CLEAR, sizeof(PROGRESS_CLEAR) - 1);
	if (file_there)
		(void)unlink(file);
	(void)raise(number); /* SA_RESETHAND: as by default, when this returns */
}

/* Who ignores a signal, like a shell for what runs in the background, goes on to. */
static void catch_interrupts(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESETHAND}, now;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			(void)sigaction(numbers[i], &action, NULL);
}

void interrupt_clears_line(bool shown)
{
	line_shown = shown;
	if (shown)
		catch_interrupts();
}

int interrupt_create(char *path)
{
	sigset_t all, before;
	int made;

	catch_interrupts();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* or it is there, and nobody knows */
	made = mkostemp(path, O_CLOEXEC);
	if (made >= 0 && strlen(path) < sizeof(file)) {
		memcpy(file, path, strlen(path) + 1);
		file_there = 1;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return made;
}

void interrupt_forgets_file(void)
{
	file_there = 0;
}
