/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that claim to be gzip: what comes out never passes the limit. And any bytes, compressed by
 * zlib in several members, come out again.
 */
#include "tests/fuzz/fuzz_internal.h"

#include <errno.h>
#include <zlib.h>

#include "export/pprof_read_internal.h"

#define LIMIT 100000

static void read_hostile(const uint8_t *bytes, size_t length)
{
	struct pprof_error error = {0};
	uint8_t *out = NULL;
	size_t out_length = 0;
	int status = rpcprof_pprof_gunzip(bytes, length, LIMIT, &out, &out_length, &error);

	if (status == 0) {
		must(out_length <= LIMIT);
		free(out);
		return;
	}
	must(status == -EINVAL || status == -EFBIG);
	must(error.offset <= length);
	must(error.text[0] != '\0');
}

static size_t compress_member(const uint8_t *bytes, size_t length, uint8_t *out, size_t room)
{
	z_stream stream = {0};

	must(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	stream.next_in = (z_const Bytef *)(uintptr_t)bytes;
	stream.avail_in = (uInt)length;
	stream.next_out = out;
	stream.avail_out = (uInt)room;
	must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&stream);
	return room - stream.avail_out;
}

static void read_own(const uint8_t *bytes, size_t length)
{
	struct pprof_error error = {0};
	size_t cut = length > 0 ? bytes[0] % length : 0, room = 2 * length + 1000;
	uint8_t *file = malloc(room), *out;
	size_t used, out_length;

	must(file != NULL);
	used = compress_member(bytes, cut, file, room);
	used += compress_member(bytes + cut, length - cut, file + used, room - used);
	must(rpcprof_pprof_gunzip(file, used, length, &out, &out_length, &error) == 0);
	must(out_length == length && memcmp(out, bytes, length) == 0);
	free(out);
	if (length > 0)
		must(rpcprof_pprof_gunzip(file, used, length - 1, &out, &out_length, &error) ==
		     -EFBIG);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	read_hostile(bytes, length);
	read_own(bytes, length);
	return 0;
}
