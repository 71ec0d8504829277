/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <unistd.h>

#include "pin.h"

/* From the last CPU down: the first has the most interrupts. */
void bench_pin(uint32_t thread)
{
	cpu_set_t set;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	CPU_ZERO(&set);
	CPU_SET((size_t)(cpus - 1 - (long)thread % cpus), &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}
