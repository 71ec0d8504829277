/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_DIRECTORY_INTERNAL_H
#define RPCPROF_DIRECTORY_INTERNAL_H

/*
 * Profiles in a directory: rpc-20261121T154310Z-10s-4711.pb.gz, by kind ("rpc", or a backend's
 * name), begin (UTC), length and process. A file that has its name is whole. Other files are left
 * alone.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPCPROF_FILE_NAME_MAX 96

struct rpcprof_directory {
	char *path; /* malloc'ed */
	uint64_t keep_files;
	uint64_t keep_bytes;
	bool sync;
};

/* Writes all bytes. 0 or a negative errno; -EIO if the kernel takes none. */
int rpcprof_write_all(int fd, const uint8_t *bytes, size_t length);

/* Writes a file of any name, whole or not at all: by way of ".<name>.tmp" beside it. */
int rpcprof_file_write(const char *path, const uint8_t *bytes, size_t length, bool sync);

/* Makes the directory if it is missing (not its parents) and writes a window's profile. */
int rpcprof_directory_write(const struct rpcprof_directory *directory, const char *kind,
                            int64_t begin_ns, int64_t length_ns, const uint8_t *bytes,
                            size_t length);

/* Deletes the oldest profiles of a kind beyond keep_files and keep_bytes, never the newest one, and what is
 * left of writers that died. *deleted grows. 0 or a negative errno. */
int rpcprof_directory_prune(const struct rpcprof_directory *directory, const char *kind,
                            uint64_t *deleted);

/* Whether a name is that of a profile of a kind. */
bool rpcprof_directory_is_profile(const char *name, const char *kind);

#endif
