/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people: to the application's callback, else to stderr if RPCPROF_LOG is set, else
 * nowhere. At most 10 a second per level; what is left out is said with the next one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "stats/arena_internal.h"

#define PER_SECOND 10

static rpcprof_log_fn *callback;
static void *callback_arg;
static struct {
	uint64_t second; /* second << 32 | messages in it */
	uint64_t left_out;
} rates[RPCPROF_LOG_INFO + 1];

static void to_stderr(void *arg, enum rpcprof_log_level level, const char *message)
{
	static const char *const names[] = {"", "error", "warning", "info"};

	(void)arg;
	(void)fprintf(stderr, "rpcprof: %s: %s\n", names[level], message);
}

void rpcprof_log_init(const struct rpcprof_config *config)
{
	callback = getenv("RPCPROF_LOG") != NULL ? to_stderr : NULL;
	callback_arg = NULL;
	if (config == NULL || config->size < offsetof(struct rpcprof_config, log_arg) + sizeof(void *))
		return;
	if (config->log != NULL) {
		callback = config->log;
		callback_arg = config->log_arg;
	}
}

/* relaxed: a limit, about. */
static bool may_speak(enum rpcprof_log_level level)
{
	struct timespec now;
	uint64_t word, next;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	word = rpcprof_load_relaxed(&rates[level].second);
	do {
		bool same = word >> 32 == (uint32_t)now.tv_sec;
		if (same && (uint32_t)word >= PER_SECOND) {
			(void)rpcprof_add_relaxed(&rates[level].left_out, 1);
			return false;
		}
		next = same ? word + 1 : (uint64_t)(uint32_t)now.tv_sec << 32 | 1;
	} while (!rpcprof_cas_relaxed(&rates[level].second, &word, next));
	return true;
}

void rpcprof_log(enum rpcprof_log_level level, const char *format, ...)
{
	char message[512];
	uint64_t left_out;
	va_list args;
	int length;

	if (callback == NULL || level < RPCPROF_LOG_ERROR || level > RPCPROF_LOG_INFO ||
	    !may_speak(level))
		return;
	va_start(args, format);
	length = vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	left_out = rpcprof_load_relaxed(&rates[level].left_out);
	if (left_out != 0 && (size_t)length < sizeof(message)) {
		rpcprof_store_relaxed(&rates[level].left_out, 0);
		(void)snprintf(message + length, sizeof(message) - (size_t)length,
		               " (%llu messages left out)", (unsigned long long)left_out);
	}
	callback(callback_arg, level, message);
}
