/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/live_internal.h"

static struct termios before;

static void give_back(void)
{
	static const char leave[] = "\033[?25h\033[?1049l";

	(void)!write(STDOUT_FILENO, leave, sizeof(leave) - 1);
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void on_end(int number)
{
	give_back();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void on_resize(int number)
{
	(void)number; /* ends the wait for a key */
}

bool screen_open(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction resize = {.sa_handler = on_resize};
	struct termios raw;

	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
		return false;
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
		return false;
	(void)atexit(give_back);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)signal(ends[i], on_end);
	(void)sigaction(SIGWINCH, &resize, NULL);
	fputs("\033[?1049h\033[?25l", stdout);
	return true;
}

int screen_key(uint64_t wait_ns)
{
	struct pollfd input = {STDIN_FILENO, POLLIN, 0};
	struct timespec wait = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
	char key;

	if (ppoll(&input, 1, &wait, NULL) <= 0)
		return 0;
	return read(STDIN_FILENO, &key, 1) == 1 ? key : 'q'; /* the terminal is gone */
}

void screen_begin(unsigned int *lines, unsigned int *columns)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	*lines = size.ws_row;
	*columns = size.ws_col;
	fputs("\033[H\033[?7l", stdout); /* what is too long is cut off */
}

void screen_end(void)
{
	fputs("\033[J\033[?7h", stdout);
	fflush(stdout);
}
