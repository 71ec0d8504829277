/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <stdlib.h>

static int64_t end_of(const struct dump_stage *stage)
{
	int64_t end;

	if (stage->duration_ns > INT64_MAX ||
	    __builtin_add_overflow(stage->offset_ns, (int64_t)stage->duration_ns, &end))
		return INT64_MAX;
	return end;
}

static bool goes_before(const struct dump_stage *a, const struct dump_stage *b)
{
	if (a->offset_ns != b->offset_ns)
		return a->offset_ns < b->offset_ns;
	return end_of(a) > end_of(b);
}

/* By insertion: few, nearly sorted, and equal ones keep their order. */
static void sort(struct dump_stage *stages, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++) {
		struct dump_stage stage = stages[i];
		uint32_t at = i;

		for (; at > 0 && goes_before(&stage, &stages[at - 1]); at--)
			stages[at] = stages[at - 1];
		stages[at] = stage;
	}
}

void rpcprof_dump_nest(struct dump_stage *stages, uint32_t count)
{
	sort(stages, count);
	for (uint32_t i = 0; i < count; i++) {
		stages[i].depth = 0;
		for (uint32_t j = i; j-- > 0;) {
			if (stages[j].thread == stages[i].thread &&
			    end_of(&stages[j]) >= end_of(&stages[i])) {
				stages[i].depth = stages[j].depth + 1;
				break;
			}
		}
	}
}
