/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_CRITERION_H
#define RPCPROF_TESTS_CRITERION_H

/*
 * Stands in for Criterion where that does not start: under TSan. The same spellings, as far as
 * our tests use them; each test runs in a forked child of its own, which ends at the first
 * cr_assert that fails, on whatever thread.
 *
 * One source file is one program: this header holds its main(). Set RPCPROF_TEST_IN_PROCESS to
 * "suite/test" to run that one without a fork, for a debugger.
 */
#pragma GCC system_header /* as Criterion's own is: no -Wpedantic inside its macros */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments" /* cr_assert(condition) */
#endif

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct criterion_test {
	const char *suite;
	const char *test;
	void (*run)(void);
	struct criterion_test *next;
	/* What Test() takes by name: */
	void (*init)(void);
	void (*fini)(void);
	int signal;     /* the test passes if it dies of this */
	int exit_code;  /* and else if it exits with this */
	double timeout; /* seconds, rounded up; 0 = none */
	bool disabled;
	const char *description;
};

static struct criterion_test *criterion_first, **criterion_last = &criterion_first;
static int criterion_failures; /* of cr_expect in this child; atomic, any thread */

#define Test(Suite, Name, ...)                                                                 \
	static void Suite##_##Name##_run(void);                                                \
	static struct criterion_test Suite##_##Name##_test = {.suite = #Suite, .test = #Name,  \
		.run = Suite##_##Name##_run, ##__VA_ARGS__};                                   \
	__attribute__((constructor)) static void Suite##_##Name##_add(void)                    \
	{                                                                                      \
		*criterion_last = &Suite##_##Name##_test;                                      \
		criterion_last = &Suite##_##Name##_test.next;                                  \
	}                                                                                      \
	static void Suite##_##Name##_run(void)

__attribute__((format(printf, 5, 6))) static inline void
criterion_failed(bool fatal, const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;
	char message[512];
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, *message ? ": " : "", message);
	__atomic_fetch_add(&criterion_failures, 1, __ATOMIC_RELAXED);
	if (fatal)
		_exit(1);
}

#define CRITERION_CHECK(fatal, condition, what, ...)                                           \
	do {                                                                                   \
		if (!(condition))                                                              \
			criterion_failed((fatal), __FILE__, __LINE__, what, "" __VA_ARGS__);   \
	} while (0)

#define CRITERION_ARR(a, b, bytes) (memcmp((a), (b), (bytes)) == 0)
#define CRITERION_NEAR(a, b, by) ((a) - (b) <= (by) && (b) - (a) <= (by))

#define cr_assert(c, ...) CRITERION_CHECK(true, (c), #c, __VA_ARGS__)
#define cr_assert_not(c, ...) CRITERION_CHECK(true, !(c), "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CRITERION_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CRITERION_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CRITERION_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CRITERION_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CRITERION_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CRITERION_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(p, ...) CRITERION_CHECK(true, (p) == NULL, #p " is NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...) CRITERION_CHECK(true, (p) != NULL, #p " not NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                                            \
	CRITERION_CHECK(true, strcmp((a), (b)) == 0, #a " same string as " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                                           \
	CRITERION_CHECK(true, strcmp((a), (b)) != 0, #a " other string than " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)                                                         \
	CRITERION_CHECK(true, CRITERION_ARR(a, b, n), #a " same bytes as " #b, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...)                                                        \
	CRITERION_CHECK(true, !CRITERION_ARR(a, b, n), #a " other bytes than " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...)                                                       \
	CRITERION_CHECK(true, CRITERION_NEAR(a, b, e), #a " near " #b, __VA_ARGS__)
#define cr_assert_float_neq(a, b, e, ...)                                                      \
	CRITERION_CHECK(true, !CRITERION_NEAR(a, b, e), #a " not near " #b, __VA_ARGS__)
#define cr_assert_fail(...) CRITERION_CHECK(true, false, "failed", __VA_ARGS__)
#define cr_fatal(...) cr_assert_fail(__VA_ARGS__)

#define cr_expect(c, ...) CRITERION_CHECK(false, (c), #c, __VA_ARGS__)
#define cr_expect_not(c, ...) CRITERION_CHECK(false, !(c), "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CRITERION_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CRITERION_CHECK(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) CRITERION_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) CRITERION_CHECK(false, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CRITERION_CHECK(false, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CRITERION_CHECK(false, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_null(p, ...) CRITERION_CHECK(false, (p) == NULL, #p " is NULL", __VA_ARGS__)
#define cr_expect_not_null(p, ...) CRITERION_CHECK(false, (p) != NULL, #p " not NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)                                                            \
	CRITERION_CHECK(false, strcmp((a), (b)) == 0, #a " same string as " #b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...)                                                         \
	CRITERION_CHECK(false, CRITERION_ARR(a, b, n), #a " same bytes as " #b, __VA_ARGS__)
#define cr_expect_float_eq(a, b, e, ...)                                                       \
	CRITERION_CHECK(false, CRITERION_NEAR(a, b, e), #a " near " #b, __VA_ARGS__)
#define cr_expect_fail(...) CRITERION_CHECK(false, false, "failed", __VA_ARGS__)
#define cr_fail(...) cr_expect_fail(__VA_ARGS__)

#define cr_log_info(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))
#define cr_log_warn(...) cr_log_info(__VA_ARGS__)
#define cr_log_error(...) cr_log_info(__VA_ARGS__)

/* The body of one test; exits, so that what was registered by atexit(), TSan's verdict too, runs. */
__attribute__((noreturn)) static inline void criterion_run(const struct criterion_test *test)
{
	if (test->signal != 0)
		signal(test->signal, SIG_DFL); /* the sanitizer's handler would exit */
	if (test->timeout > 0)
		alarm((unsigned)test->timeout + ((unsigned)test->timeout < test->timeout));
	if (test->init != NULL)
		test->init();
	test->run();
	if (test->fini != NULL)
		test->fini();
	exit(__atomic_load_n(&criterion_failures, __ATOMIC_RELAXED) == 0 ? 0 : 1);
}

static inline bool criterion_passes(const struct criterion_test *test)
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		criterion_run(test);
	if (child < 0 || waitpid(child, &status, 0) != child) {
		perror(test->test);
		return false;
	}
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) != test->signal)
			fprintf(stderr, "%s/%s: %s\n", test->suite, test->test,
			        strsignal(WTERMSIG(status)));
		return WTERMSIG(status) == test->signal;
	}
	return test->signal == 0 && WEXITSTATUS(status) == test->exit_code;
}

int main(void)
{
	const char *only = getenv("RPCPROF_TEST_IN_PROCESS");
	char name[256];
	int passed = 0, failed = 0;
	for (struct criterion_test *test = criterion_first; test != NULL; test = test->next) {
		snprintf(name, sizeof(name), "%s/%s", test->suite, test->test);
		if (only != NULL && strcmp(only, name) == 0)
			criterion_run(test);
		if (only != NULL || test->disabled)
			continue;
		bool ok = criterion_passes(test);
		passed += ok;
		failed += !ok;
		printf("%s %s\n", ok ? "pass" : "FAIL", name);
	}
	printf("%d passed, %d failed\n", passed, failed);
	return failed == 0 && only == NULL ? 0 : 1;
}

#endif
