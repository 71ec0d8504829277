/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_GZIP_INTERNAL_H
#define RPCPROF_GZIP_INTERNAL_H

/*
 * Bytes to one gzip member. One of two files is built: gzip_libdeflate.c, which takes half the time
 * and keeps all bytes until the end; or gzip_zlib.c, which compresses them as they come.
 */
#include <stddef.h>
#include <stdint.h>

struct rpcprof_gzip;

/* NULL if memory cannot be had. */
struct rpcprof_gzip *rpcprof_gzip_open(void);
void rpcprof_gzip_close(struct rpcprof_gzip *gzip);

/* Where to write the next `length` bytes, before rpcprof_gzip_put() says that they are there. NULL
 * if memory cannot be had. */
uint8_t *rpcprof_gzip_room(struct rpcprof_gzip *gzip, size_t length);

/* 0 or -ENOMEM. */
int rpcprof_gzip_put(struct rpcprof_gzip *gzip, size_t length);

/* All that was put, compressed; *bytes is malloc'ed, the caller's. 0 or -ENOMEM. */
int rpcprof_gzip_finish(struct rpcprof_gzip *gzip, uint8_t **bytes, size_t *length);

/* Bytes that grow; from malloc. */
struct rpcprof_bytes {
	uint8_t *data;
	size_t length, room;
};

/* Room for so many more; 0 or -ENOMEM. */
int rpcprof_bytes_reserve(struct rpcprof_bytes *bytes, size_t more);

#endif
