/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_GPERFTOOLS_BURN_H
#define RPCPROF_TESTS_GPERFTOOLS_BURN_H

/* Programs that use CPU time, and know of how many samples. */
#include <gperftools/profiler.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/pprof_read_internal.h"

#define must(condition) must_be((condition), #condition, __LINE__)

static inline void must_be(int good, const char *what, int line)
{
	if (good)
		return;
	fprintf(stderr, "line %d: %s\n", line, what);
	exit(1);
}

static inline int samples_gathered(void)
{
	struct ProfilerState state;

	ProfilerGetCurrentState(&state);
	return state.samples_gathered;
}

/* Not inlined and with external names, so that they are found in profiles. */
__attribute__((noinline)) uint64_t burn_left(uint64_t x)
{
	for (int i = 0; i < 100000; i++)
		x = x * 6364136223846793005u + 1442695040888963407u;
	return x;
}

__attribute__((noinline)) uint64_t burn_right(uint64_t x)
{
	for (int i = 0; i < 100000; i++)
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	return x;
}

/* Until the profiler has so many samples more. */
static inline void burn(int samples)
{
	int until = samples_gathered() + samples;
	volatile uint64_t x = 1;

	while (samples_gathered() < until)
		x = burn_right(burn_left(x));
}

/* What a CPU profile says. */
struct cpu {
	int64_t samples, ns, period_ns, left;
};

static inline void add_cpu(struct cpu *cpu, const uint8_t *bytes, size_t length)
{
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;
	uint8_t *plain = NULL;
	size_t plain_length;

	must(rpcprof_pprof_gunzip(bytes, length, 1 << 26, &plain, &plain_length, &error) == 0);
	must(rpcprof_pprof_decode(plain, plain_length, 0, &model, &error) == 0);
	must(model->types_count == 2);
	cpu->period_ns = model->period;
	for (size_t i = 0; i < model->samples_count; i++) {
		const struct pprof_location *leaf =
			&model->locations[model->frames[model->samples[i].frames] - 1];
		uint32_t name = rpcprof_pprof_line_function(model, &model->lines[leaf->lines])->name;

		cpu->samples += rpcprof_pprof_values(model, i)[0];
		cpu->ns += rpcprof_pprof_values(model, i)[1];
		if (strcmp(rpcprof_pprof_text(model, name), "burn_left") == 0)
			cpu->left += rpcprof_pprof_values(model, i)[0];
	}
	rpcprof_pprof_close(model);
	free(plain);
}

#endif
