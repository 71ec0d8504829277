/* SPDX-License-Identifier: Apache-2.0 */
/* One round of one case: thread CPU time, pinned, warmed up. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

uint32_t bench_capacity;
uint32_t bench_tags[BENCH_STAGES];

struct job {
	const struct bench_case *test;
	pthread_barrier_t *barrier;
	uint32_t thread;
	double ns; /* per operation; 0: this thread's does not count */
};

void bench_start(const struct rpcprof_config *config)
{
	int error = rpcprof_init(config);

	if (error != 0) {
		fprintf(stderr, "bench: N = %u cannot be had: %s\n", config->capacity,
		        strerror(-error));
		exit(1);
	}
	bench_capacity = config->capacity;
	for (uint32_t i = 0; i < BENCH_STAGES; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "/stage%u", i);
		bench_tags[i] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1);
	}
}

double bench_thread_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double timed(const struct bench_case *test, uint32_t thread)
{
	double begin = bench_thread_ns();
	uint64_t done = test->run(test->count, thread);

	return done > 0 ? (bench_thread_ns() - begin) / (double)done : 0;
}

static void *work(void *arg)
{
	struct job *job = arg;

	bench_pin(job->thread);
	rpcprof_thread_prepare();
	(void)job->test->run(job->test->count / 10 + 1, job->thread);
	(void)pthread_barrier_wait(job->barrier);
	job->ns = timed(job->test, job->thread);
	return NULL;
}

/* Every thread's own cost per operation, on average. */
static double average(const struct job *jobs, uint32_t threads)
{
	double sum = 0;
	uint32_t counted = 0;

	for (uint32_t i = 0; i < threads; i++) {
		sum += jobs[i].ns;
		counted += jobs[i].ns > 0;
	}
	return counted > 0 ? sum / counted : 0;
}

static double measure_threads(const struct bench_case *test, uint32_t threads)
{
	struct job jobs[BENCH_THREADS_MAX];
	pthread_t ids[BENCH_THREADS_MAX];
	pthread_barrier_t barrier;

	(void)pthread_barrier_init(&barrier, NULL, threads);
	for (uint32_t i = 0; i < threads; i++) {
		jobs[i] = (struct job){test, &barrier, i, 0};
		if (pthread_create(&ids[i], NULL, work, &jobs[i]) != 0) {
			fprintf(stderr, "bench: %u threads cannot be had\n", threads);
			exit(1);
		}
	}
	for (uint32_t i = 0; i < threads; i++)
		(void)pthread_join(ids[i], NULL);
	(void)pthread_barrier_destroy(&barrier);
	return average(jobs, threads);
}

double bench_measure(const struct bench_case *test, uint32_t threads)
{
	if (test->before != NULL)
		test->before();
	(void)rpcprof_enable(test->on);
	if (threads > 1)
		return measure_threads(test, threads);
	/* One thread: this one, so that nothing but the case itself is new. */
	if (test->before == NULL)
		(void)test->run(test->count / 10 + 1, 0);
	return timed(test, 0);
}
