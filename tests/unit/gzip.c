/* SPDX-License-Identifier: Apache-2.0 */
/* Built twice: with the compressor that was chosen, and with zlib's (tests/CMakeLists.txt). */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "export/gzip_internal.h"

#define BYTES 3000000
#define PIECE 70001

/* Neither constant nor noise: it compresses, but not to nothing. */
static uint8_t byte_at(size_t i)
{
	return (uint8_t)((i * i >> 7) ^ (i % 251));
}

/* Puts pieces of all sizes up to PIECE, also none. */
static size_t compress_pieces(size_t length, uint8_t **out)
{
	struct rpcprof_gzip *gzip = rpcprof_gzip_open();
	size_t done = 0, out_length;

	cr_assert_not_null(gzip);
	for (size_t piece = 0; done < length; piece = (piece + 7919) % PIECE) {
		size_t count = piece < length - done ? piece : length - done;
		uint8_t *room = rpcprof_gzip_room(gzip, count);

		cr_assert_not_null(room);
		for (size_t i = 0; i < count; i++)
			room[i] = byte_at(done + i);
		cr_assert_eq(rpcprof_gzip_put(gzip, count), 0);
		done += count;
	}
	cr_assert_eq(rpcprof_gzip_finish(gzip, out, &out_length), 0);
	rpcprof_gzip_close(gzip);
	return out_length;
}

/* What one gzip member that is all of `bytes` holds. */
static size_t inflate_member(uint8_t *bytes, size_t length, uint8_t *out, size_t room)
{
	z_stream stream = {.next_in = bytes, .avail_in = (uInt)length, .next_out = out,
	                   .avail_out = (uInt)room};

	cr_assert_eq(inflateInit2(&stream, 15 + 16), Z_OK);
	cr_assert_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
	cr_assert_eq(stream.avail_in, 0, "%u bytes after the first member", stream.avail_in);
	inflateEnd(&stream);
	return room - stream.avail_out;
}

Test(gzip, pieces_come_out_as_one_member)
{
	uint8_t *packed, *plain = malloc(BYTES + 1);
	size_t length = compress_pieces(BYTES, &packed);

	cr_assert_lt(length, BYTES);
	cr_assert_eq(inflate_member(packed, length, plain, BYTES + 1), BYTES);
	for (size_t i = 0; i < BYTES; i++)
		if (plain[i] != byte_at(i))
			cr_assert_fail("byte %zu differs", i);
	free(packed);
	free(plain);
}

Test(gzip, nothing_is_a_member_too)
{
	uint8_t *packed, plain[1];
	size_t length = compress_pieces(0, &packed);

	cr_assert_eq(inflate_member(packed, length, plain, sizeof(plain)), 0);
	free(packed);
}
