/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PIN_H
#define BENCH_PIN_H

#include <stdint.h>

/* The calling thread stays on one CPU; threads 0, 1, ... on different ones while there are. */
void bench_pin(uint32_t thread);

#endif
