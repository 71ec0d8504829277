/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_VERSION_H
#define RPCPROF_VERSION_H

/* The one place the version is written; CMake reads it from here. */
#define RPCPROF_VERSION_MAJOR 0
#define RPCPROF_VERSION_MINOR 1
#define RPCPROF_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/**
 * The version of the library that is linked, "MAJOR.MINOR.PATCH".
 *
 * Compare it with the macros above to see whether header and library match.
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
const char *rpcprof_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
