/* SPDX-License-Identifier: Apache-2.0 */
/* What is promised when the system refuses. The linker sends these calls here (--wrap). */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"
#include "stats/control_internal.h"

/* The call that fails, after so many that do not. */
static struct {
	const char *call;
	int after;
} refused;

static void refuse(const char *call, int after)
{
	refused.call = call;
	refused.after = after;
}

static bool refuses(const char *call)
{
	return refused.call != NULL && strcmp(refused.call, call) == 0 && refused.after-- <= 0;
}

#define WRAP(type, failure, name, parameters, ...)                                             \
	type __real_##name parameters;                                                         \
	type __wrap_##name parameters;                                                         \
	type __wrap_##name parameters                                                          \
	{                                                                                      \
		return refuses(#name) ? (failure) : __real_##name(__VA_ARGS__);                \
	}

WRAP(void *, NULL, malloc, (size_t bytes), bytes)
WRAP(void *, NULL, calloc, (size_t count, size_t bytes), count, bytes)
WRAP(void *, MAP_FAILED, mmap, (void *at, size_t bytes, int may, int how, int fd, off_t offset), at,
     bytes, may, how, fd, offset)
WRAP(int, -1, memfd_create, (const char *name, unsigned int flags), name, flags)
WRAP(int, -1, ftruncate, (int fd, off_t bytes), fd, bytes)
WRAP(FILE *, NULL, fopen, (const char *path, const char *mode), path, mode)
WRAP(int, EAGAIN, pthread_key_create, (pthread_key_t *key, void (*at_exit)(void *)), key, at_exit)
WRAP(int, ENOMEM, pthread_setspecific, (pthread_key_t key, const void *value), key, value)
WRAP(ssize_t, -1, getrandom, (void *bytes, size_t count, unsigned int flags), bytes, count, flags)

static char last_message[512];

static void keep_message(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	(void)snprintf(last_message, sizeof(last_message), "%s", message);
}

static struct rpcprof_config config_of(uint32_t capacity)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = capacity, .log = keep_message};
	return config;
}

static void start(void)
{
	struct rpcprof_config config = config_of(64);

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static int count(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

/* ---- memory ---- */

Test(memory, a_snapshot_that_gets_none_says_so_and_delivers_nothing)
{
	static const char *const calls[] = {"malloc", "calloc"};
	uint64_t seen = 0;

	start();
	rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
	for (int i = 0; i < 2; i++) {
		refuse(calls[i], 0);
		cr_assert_eq(rpcprof_snapshot(NULL, count, &seen), -ENOMEM, "%s", calls[i]);
		refuse(NULL, 0);
		cr_assert_eq(seen, 0);
	}
	cr_assert_eq(rpcprof_snapshot(NULL, count, &seen), 1);
}

Test(memory, an_arena_refused_leaves_init_to_be_tried_again)
{
	struct rpcprof_config config = config_of(64);

	refuse("mmap", 0);
	cr_assert_eq(rpcprof_init(&config), -ENOMEM);
	cr_assert_not_null(strstr(last_message, "no memory for capacity 64: "));
	refuse(NULL, 0);
	start();
}

Test(memory, a_child_that_gets_no_arena_records_nothing)
{
	int status = 0;
	pid_t pid;

	start();
	refuse("mmap", 0);
	pid = fork();
	if (pid == 0)
		_exit(!rpcprof_enabled() &&
		      rpcprof_stat_is_null(rpcprof_stat_begin(RPCPROF_TAG_SERVER)) ? 7 : 1);
	refuse(NULL, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	cr_assert(rpcprof_enabled());
}

/* ---- the mark of a copy of the library ---- */

Test(mark, tells_a_second_copy_where_the_first_is)
{
	start();
	cr_assert_eq(rpcprof_copy_check(), -EBUSY);
	cr_assert_not_null(strstr(last_message, "test_refused"), "%s", last_message);
}

static void start_without_mark(const char *call, int after)
{
	refuse(call, after);
	start();
	refuse(NULL, 0);
	cr_assert_eq(rpcprof_copy_check(), 0);
}

Test(mark, refused_a_file_is_done_without)
{
	start_without_mark("memfd_create", 0);
}

Test(mark, refused_a_size_is_done_without)
{
	start_without_mark("ftruncate", 0);
}

Test(mark, refused_a_mapping_is_done_without)
{
	start_without_mark("mmap", 1); /* the first is the arena */
}

Test(mark, of_a_copy_that_does_not_find_its_file_says_unknown)
{
	refuse("fopen", 1); /* the first looks for other copies */
	start();
	refuse(NULL, 0);
	cr_assert_eq(rpcprof_copy_check(), -EBUSY);
	cr_assert_not_null(strstr(last_message, "in this process: unknown;"), "%s", last_message);
}

Test(mark, that_cannot_be_looked_for_keeps_nobody_from_starting)
{
	refuse("fopen", 0);
	start();
	cr_assert_eq(rpcprof_copy_check(), 0);
}

/* Lines of /proc/self/maps are read in pieces of 512 bytes. */
Test(mark, is_found_behind_a_mapping_with_a_long_name)
{
	char path[800] = "/tmp/rpcprof-mark-XXXXXX";
	size_t parts[4], part = 0;
	int fd;

	start();
	cr_assert_not_null(mkdtemp(path));
	while (part < 3) {
		size_t end = parts[part++] = strlen(path);
		path[end] = '/';
		memset(path + end + 1, 'm', 200);
		path[end + 201] = '\0';
		cr_assert_eq(mkdir(path, 0700), 0);
	}
	parts[part++] = strlen(path);
	strcat(path, "/f");
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	/* Low, so that it comes first. */
	cr_assert_neq(mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE,
	                   fd, 0), MAP_FAILED);
	close(fd);
	unlink(path);
	while (part-- > 0) {
		path[parts[part]] = '\0';
		rmdir(path);
	}
	cr_assert_eq(rpcprof_copy_check(), -EBUSY);
	cr_assert_not_null(strstr(last_message, "test_refused"), "%s", last_message);
}

/* ---- threads ---- */

static void *record_one(void *arg)
{
	rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
	return arg;
}

/* Nothing would give back what such threads held: so they hold nothing, and count with the others. */
static void threads_without_exit(void)
{
	struct rpcprof_config config = config_of(8);
	struct rpcprof_counters counters;
	uint64_t drained = 0, cells = 0;

	config.single_ring = 1;
	config.max_in_flight = 8;
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	for (int i = 0; i < 200; i++) {
		pthread_t thread;
		cr_assert_eq(pthread_create(&thread, NULL, record_one, NULL), 0);
		pthread_join(thread, NULL);
	}
	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.pushed, 200);
	cr_assert_eq(counters.dropped_no_cell, 0);
	for (uint32_t i = 0; i < THREAD_SLOTS; i++)
		cr_assert_eq(rpcprof_map.shared->thread[i].thread, 0);
	cr_assert_eq(counters.displaced + (uint64_t)rpcprof_drain(count, &drained), 200);
	while (!rpcprof_stat_is_null(rpcprof_stat_begin(RPCPROF_TAG_SERVER)))
		cells++;
	cr_assert_eq(cells, rpcprof_control()->cells - 1); /* without the null cell */
}

Test(threads, without_a_key_lose_neither_counts_nor_cells)
{
	refuse("pthread_key_create", 0);
	threads_without_exit();
}

Test(threads, without_memory_for_their_key_lose_neither_counts_nor_cells)
{
	refuse("pthread_setspecific", 0);
	threads_without_exit();
}

/* ---- names ---- */

Test(names, need_no_random_bits)
{
	uint32_t one, two;

	refuse("getrandom", 0);
	start();
	one = rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/one", (size_t)-1);
	two = rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/two", (size_t)-1);
	cr_assert_neq(one, two);
	cr_assert_str_eq(rpcprof_tag_name(one, NULL), "/one");
	cr_assert_str_eq(rpcprof_tag_name(two, NULL), "/two");
}

/* ---- the clock ---- */

static int64_t leap_s; /* how far CLOCK_MONOTONIC leaps at each look */

int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
	static int64_t leapt;
	int error = __real_clock_gettime(id, now);

	if (id == CLOCK_MONOTONIC)
		now->tv_sec += leapt += leap_s;
	return error;
}

static const char *clock_source; /* the file that the kernel's is read from */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	va_start(args, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(args, int) : 0;
	va_end(args);
	if (strncmp(path, "/sys/", 5) != 0)
		return __real_open(path, flags, mode);
	return refuses("open") ? -1 : __real_open(clock_source ? clock_source : path, flags);
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
	unsigned long word[4];
	va_list args;

	va_start(args, option);
	for (int i = 0; i < 4; i++)
		word[i] = va_arg(args, unsigned long);
	va_end(args);
	return refuses("prctl") ? -1 : __real_prctl(option, word[0], word[1], word[2], word[3]);
}

#if defined(__x86_64__)
/* What is chosen has to be this, for this reason. */
static void assert_chosen(enum rpcprof_clock_kind asked, enum rpcprof_clock_kind kind,
                          const char *reason)
{
	char text[96] = "";

	cr_assert_eq(rpcprof_clock_choose(asked, text), (int)kind, "%s", text);
	cr_assert_not_null(strstr(text, reason), "%s", text);
}

/* Both what is chosen, and what is said when raw is demanded all the same. */
static void assert_untrusted(const char *call, int after, const char *reason)
{
	char text[96];

	if (rpcprof_clock_choose(RPCPROF_CLOCK_AUTO, text) == RPCPROF_CLOCK_MONOTONIC &&
	    strstr(text, "invariant") != NULL)
		return; /* such a CPU's kernel is not asked */
	refuse(call, after);
	assert_chosen(RPCPROF_CLOCK_AUTO, RPCPROF_CLOCK_MONOTONIC, reason);
	refuse(call, after);
	assert_chosen(RPCPROF_CLOCK_RAW, RPCPROF_CLOCK_RAW, reason);
	refuse(NULL, 0);
}

Test(clock, is_monotonic_where_the_kernels_source_cannot_be_opened)
{
	assert_untrusted("open", 0, "the kernel's clock source cannot be read");
	assert_untrusted("open", 1, "the kernel's clock source cannot be read");
}

Test(clock, is_monotonic_where_the_kernels_source_is_empty)
{
	clock_source = "/dev/null";
	assert_untrusted(NULL, 0, "the kernel's clock source cannot be read");
}

Test(clock, is_monotonic_where_the_kernel_uses_another)
{
	char path[] = "/tmp/rpcprof-source-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, "hpet\n", 5), 5);
	close(fd);
	clock_source = path;
	assert_untrusted(NULL, 0, "the kernel does not trust the TSC");
	unlink(path);
}

Test(clock, is_not_raw_where_the_kernel_does_not_say_that_it_may_be_read)
{
	struct rpcprof_config config = config_of(64);

	refuse("prctl", 0);
	assert_chosen(RPCPROF_CLOCK_AUTO, RPCPROF_CLOCK_MONOTONIC,
	              "the kernel does not say whether the TSC may be read");
	config.clock = RPCPROF_CLOCK_RAW;
	refuse("prctl", 0);
	cr_assert_eq(rpcprof_init(&config), -EINVAL);
	cr_assert_not_null(strstr(last_message, "use RPCPROF_CLOCK_AUTO"), "%s", last_message);
	refuse(NULL, 0);
	start(); /* what failed left nothing behind */
}
#endif

Test(clock, is_not_a_counter_that_stands_still)
{
	struct rpcprof_clock_state state;
	struct rpcprof_clock_info info;

	leap_s = 1000000; /* at each look, between which the counter hardly moves */
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_RAW), -EINVAL);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_AUTO), 0);
	leap_s = 0;
	cr_assert_eq(rpcprof_clock_get_info(&info), 0);
	cr_assert_eq(info.kind, RPCPROF_CLOCK_MONOTONIC);
	if (rpcprof_clock_choose(RPCPROF_CLOCK_AUTO, info.reason) == RPCPROF_CLOCK_RAW)
		cr_assert_not_null(strstr(state.reason, "does not count steadily"), "%s",
		                   state.reason);
}
