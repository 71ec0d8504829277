/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_COVERAGE_H
#define RPCPROF_TESTS_COVERAGE_H

/* Included before everything else in the coverage build: what a child counted that a test forked is
 * kept when it ends by _exit(), as they do. */
#include <unistd.h>

extern void __gcov_dump(void);

#define _exit(code) (__gcov_dump(), _exit(code))

#endif
