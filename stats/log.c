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

/* Set by rpcprof_init(), again if it failed; threads that push, say, may speak meanwhile. Read
 * whole or not at all: nobody waits here, for a forked child may have the half of it for ever. */
static struct {
	uint32_t version; /* odd: it is being set */
	rpcprof_log_fn *callback;
	void *arg;
} output;
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

static void set_output(rpcprof_log_fn *callback, void *arg)
{
	/* Only this thread changes it: init is one at a time. Odd already in the child of a fork that
	 * came between. */
	uint32_t version = output.version | 1;

	/* relaxed: L3 orders it before the rest. */
	rpcprof_store_relaxed(&output.version, version);
	/* L3 release fence, pairs with L4: else a reader of the new pair takes it for the old. */
	rpcprof_fence_release();
	rpcprof_store_relaxed(&output.callback, callback);
	rpcprof_store_relaxed(&output.arg, arg);
	/* L1 release, pairs with L2: the pair, and what the application made for it. */
	rpcprof_store_release(&output.version, version + 1);
}

/* false: nobody listens, or somebody will in a moment. */
static bool get_output(rpcprof_log_fn **callback, void **arg)
{
	/* L2 acquire, pairs with L1. */
	uint32_t version = rpcprof_load_acquire(&output.version);

	*callback = rpcprof_load_relaxed(&output.callback);
	*arg = rpcprof_load_relaxed(&output.arg);
	/* L4 acquire fence, pairs with L3: the pair before the look whether it has changed. */
	rpcprof_fence_acquire();
	return version % 2 == 0 && rpcprof_load_relaxed(&output.version) == version &&
	       *callback != NULL;
}

void rpcprof_log_init(const struct rpcprof_config *config)
{
	const size_t needed = offsetof(struct rpcprof_config, log_arg) + sizeof(void *);

	if (config != NULL && config->size >= needed && config->log != NULL)
		set_output(config->log, config->log_arg);
	else
		set_output(getenv("RPCPROF_LOG") != NULL ? to_stderr : NULL, NULL);
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
	rpcprof_log_fn *callback;
	char message[512];
	uint64_t left_out;
	va_list args;
	int length;
	void *arg;

	if (!get_output(&callback, &arg) || level < RPCPROF_LOG_ERROR || level > RPCPROF_LOG_INFO ||
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
	callback(arg, level, message);
}
