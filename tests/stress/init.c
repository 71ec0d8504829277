/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcprof_init() and rpcprof_enable() while other threads record, intern, convert, ask, log and
 * look in from outside: whoever finds a part there finds all that it needs. What would be missing
 * is plain memory, so it is TSan that notices.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

static uint32_t stop; /* set when all that were to find something have, or a minute later */
static uint32_t found;

static void *finds(void)
{
	(void)__atomic_fetch_add(&found, 1, __ATOMIC_RELAXED);
	return NULL;
}

static bool goes_on(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED) == 0;
}

static int listener; /* plain, as the application's own would be */
static uint32_t heard;

static void listen(void *arg, enum rpcprof_log_level level, const char *message)
{
	if (arg == &listener && listener == 5 && level == RPCPROF_LOG_INFO && *message == 'm')
		__atomic_store_n(&heard, 1, __ATOMIC_RELAXED);
}

/* As a thread that pushes does. */
static void *speak(void *wrong)
{
	while (goes_on()) {
		rpcprof_log(RPCPROF_LOG_INFO, "message");
		if (__atomic_load_n(&heard, __ATOMIC_RELAXED) != 0)
			return finds();
	}
	return wrong;
}

static void *record(void *wrong)
{
	while (goes_on())
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
	(void)wrong;
	return NULL;
}

static void *record_detached(void *wrong)
{
	struct rpcprof_detached_timer timer = {0};

	while (goes_on() && timer.begin == 0)
		timer = rpcprof_detached_timer_begin(RPCPROF_TAG_OTHER);
	rpcprof_detached_timer_end(&timer);
	return timer.end != 0 ? finds() : wrong;
}

static void *ask(void *wrong)
{
	struct rpcprof_config config = {.size = sizeof(config)};

	while (goes_on())
		if (rpcprof_get_config(&config) == 0)
			return config.capacity == 64 ? finds() : wrong;
	return wrong;
}

static void *intern(void *wrong)
{
	while (goes_on())
		if (RPCPROF_TAG("/init") != 0)
			return finds();
	return wrong;
}

static void *name(void *wrong)
{
	while (goes_on())
		if (rpcprof_tag_find("client", 6) == RPCPROF_TAG_CLIENT)
			return finds();
	return wrong;
}

static void *convert(void *wrong)
{
	struct rpcprof_clock_map *map = malloc(sizeof(*map));

	while (map != NULL && goes_on())
		if (rpcprof_clock_map_get(map) == 0 && wrong != NULL)
			wrong = finds();
	free(map);
	return wrong;
}

static void *read_clock(void *wrong)
{
	while (goes_on())
		if (rpcprof_clock_now() == 0 || rpcprof_clock_now_slow() == 0)
			return wrong;
	return NULL;
}

static void *look_in(void *wrong)
{
	const struct rpcprof_control_body *body = rpcprof_control();

	while (goes_on())
		if (rpcprof_load_acquire(&body->head.magic) == MAGIC)
			return body->head.version == 1 && body->capacity == 64 ? finds() : wrong;
	return wrong;
}

int main(void)
{
	void *(*const all[])(void *) = {record, record_detached, ask, intern, name, convert,
	                                read_clock, look_in, speak};
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 64,
	                                 .log = listen, .log_arg = &listener};
	pthread_t threads[sizeof(all) / sizeof(all[0])];
	int wrong = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		wrong |= pthread_create(&threads[i], NULL, all[i], &wrong);
	usleep(20000);
	listener = 5;
	wrong |= rpcprof_init(&config);
	usleep(20000);
	wrong |= rpcprof_enable(true);
	for (int i = 0; i < 600 && __atomic_load_n(&found, __ATOMIC_RELAXED) < 7; i++)
		usleep(100000);
	usleep(100000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		void *result;
		wrong |= pthread_join(threads[i], &result) != 0 || result != NULL;
	}
	return wrong;
}
