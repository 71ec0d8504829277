/* SPDX-License-Identifier: Apache-2.0 */

/* Half of these tests must fail: run.sh sees to it that the right ones do. */
#include <criterion/criterion.h>
#include <pthread.h>

static int initialised;

static void init(void)
{
	initialised = 1;
}

static void fini_fails(void)
{
	cr_fail("fini runs");
}

Test(good, passes)
{
	cr_assert(1);
	cr_assert_eq(1, 1, "%d", 1);
	cr_assert_neq(1, 2);
	cr_assert_lt(1, 2);
	cr_assert_gt(2, 1);
	cr_assert_leq(1, 1);
	cr_assert_geq(1, 1);
	cr_assert_null(NULL);
	cr_assert_not_null("");
	cr_assert_str_eq("a", "a");
	cr_assert_str_neq("a", "b");
	cr_assert_arr_eq("ab", "ab", 2);
	cr_assert_float_eq(1.0, 1.1, 0.2);
	cr_expect(1);
	cr_log_info("%s", "a note");
}

Test(good, init_has_run, .init = init)
{
	cr_assert(initialised);
}

Test(good, runs_alone)
{
	cr_assert(!initialised, "a child of its own");
}

Test(good, dies_as_told, .signal = SIGSEGV)
{
	raise(SIGSEGV);
}

Test(good, exits_as_told, .exit_code = 3)
{
	exit(3);
}

Test(bad, disabled_does_not_run, .disabled = true)
{
	cr_assert(0);
}

/* clang-format off */
Test(bad, is) { cr_assert(0, "the %s", "message"); }
Test(bad, eq) { cr_assert_eq(1, 2); }
Test(bad, neq) { cr_assert_neq(1, 1); }
Test(bad, lt) { cr_assert_lt(2, 2); }
Test(bad, gt) { cr_assert_gt(2, 2); }
Test(bad, leq) { cr_assert_leq(3, 2); }
Test(bad, geq) { cr_assert_geq(2, 3); }
Test(bad, null) { cr_assert_null(""); }
Test(bad, not_null) { cr_assert_not_null(NULL); }
Test(bad, str_eq) { cr_assert_str_eq("a", "b"); }
Test(bad, str_neq) { cr_assert_str_neq("a", "a"); }
Test(bad, arr_eq) { cr_assert_arr_eq("ab", "ac", 2); }
Test(bad, float_eq) { cr_assert_float_eq(1.0, 1.3, 0.2); }
Test(bad, expect) { cr_expect(0); }
Test(bad, fail) { cr_fail(); }
Test(bad, fini, .fini = fini_fails) { }
Test(bad, crash) { raise(SIGKILL); }
Test(bad, lives, .signal = SIGSEGV) { }
Test(bad, exits) { exit(4); }
Test(bad, hangs, .timeout = 0.5) { pause(); }
/* clang-format on */

static void *assert_false(void *arg)
{
	cr_assert(arg != NULL);
	return NULL;
}

Test(bad, on_a_thread)
{
	pthread_t thread;
	pthread_create(&thread, NULL, assert_false, NULL);
	pthread_join(thread, NULL);
}

#ifdef __SANITIZE_THREAD__
#define RACE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACE 1
#endif
#endif

#ifdef RACE
static int word;

static void *race(void *arg)
{
	for (int i = 0; i < 1000; i++)
		word++;
	return arg;
}

Test(bad, race_is_seen)
{
	pthread_t thread;
	pthread_create(&thread, NULL, race, NULL);
	race(NULL);
	pthread_join(thread, NULL);
}
#endif
