/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for people. Time stands still until a test moves it (--wrap). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"

static time_t second = 1000;

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	if (id != CLOCK_MONOTONIC_COARSE)
		return __real_clock_gettime(id, now);
	now->tv_sec = second;
	now->tv_nsec = 0;
	return 0;
}

static char last[600];
static int messages;

static void keep(void *arg, enum rpcprof_log_level level, const char *message)
{
	cr_assert_eq(arg, &messages);
	(void)snprintf(last, sizeof(last), "%d %s", (int)level, message);
	messages++;
}

static void start(rpcprof_log_fn *log)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = 64, .log = log, .log_arg = &messages};

	cr_assert_eq(rpcprof_init(&config), 0);
}

Test(log, goes_to_the_callback_with_its_level)
{
	start(keep);
	rpcprof_log(RPCPROF_LOG_WARNING, "%s %d", "number", 5);
	cr_assert_str_eq(last, "2 number 5");
}

Test(log, has_no_other_levels)
{
	start(keep);
	rpcprof_log((enum rpcprof_log_level)0, "none");
	rpcprof_log((enum rpcprof_log_level)(RPCPROF_LOG_INFO + 1), "too high");
	cr_assert_eq(messages, 0);
}

Test(log, says_ten_a_second_of_each_level_and_then_how_many_it_left_out)
{
	start(keep);
	for (int i = 0; i < 15; i++)
		rpcprof_log(RPCPROF_LOG_ERROR, "message %d", i);
	cr_assert_eq(messages, 10);
	cr_assert_str_eq(last, "1 message 9");
	rpcprof_log(RPCPROF_LOG_INFO, "of another level");
	cr_assert_str_eq(last, "3 of another level");
	second++;
	rpcprof_log(RPCPROF_LOG_ERROR, "next");
	cr_assert_str_eq(last, "1 next (5 messages left out)");
	rpcprof_log(RPCPROF_LOG_ERROR, "next");
	cr_assert_str_eq(last, "1 next");
}

Test(log, says_what_it_left_out_with_a_message_that_leaves_room)
{
	start(keep);
	for (int i = 0; i < 12; i++)
		rpcprof_log(RPCPROF_LOG_ERROR, "message %d", i);
	second++;
	rpcprof_log(RPCPROF_LOG_ERROR, "%0700d", 1);
	cr_assert_eq(strlen(last), 2 + 511); /* cut, and nothing behind */
	cr_assert_null(strstr(last, "left out"));
	rpcprof_log(RPCPROF_LOG_ERROR, "short");
	cr_assert_str_eq(last, "1 short (2 messages left out)");
}

/* What stderr got while fn ran. */
static const char *stderr_of(void (*fn)(void))
{
	static char text[256];
	FILE *file = tmpfile();
	int before = dup(STDERR_FILENO);
	size_t got;

	cr_assert_not_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	fn();
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	close(before);
	rewind(file);
	got = fread(text, 1, sizeof(text) - 1, file);
	text[got] = '\0';
	fclose(file);
	return text;
}

static void warn(void)
{
	rpcprof_log(RPCPROF_LOG_WARNING, "beware");
}

Test(log, goes_to_stderr_if_the_environment_says_so)
{
	setenv("RPCPROF_LOG", "1", 1);
	start(NULL);
	cr_assert_str_eq(stderr_of(warn), "rpcprof: warning: beware\n");
}

Test(log, goes_nowhere_if_nobody_asked)
{
	unsetenv("RPCPROF_LOG");
	start(NULL);
	cr_assert_str_eq(stderr_of(warn), "");
}
