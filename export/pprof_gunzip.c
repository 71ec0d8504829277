/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_read_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

bool rpcprof_pprof_is_gzip(const uint8_t *bytes, size_t length)
{
	return length >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

struct gunzip {
	z_stream stream;
	const uint8_t *in;
	size_t in_length;
	uint8_t *out;
	size_t room, limit;
	struct pprof_error *error;
};

static size_t out_length(const struct gunzip *gunzip)
{
	return gunzip->room - gunzip->stream.avail_out;
}

static int fail(struct gunzip *gunzip, int status, const char *text)
{
	gunzip->error->offset = (uint64_t)(gunzip->stream.next_in - gunzip->in);
	snprintf(gunzip->error->text, sizeof(gunzip->error->text), "%s", text);
	return status;
}

static int too_much(struct gunzip *gunzip)
{
	char text[96];

	snprintf(text, sizeof(text), "uncompresses to more than the limit of %zu bytes",
	         gunzip->limit);
	return fail(gunzip, -EFBIG, text);
}

static int make_room(struct gunzip *gunzip)
{
	size_t used = out_length(gunzip);
	size_t room = gunzip->room == 0 ? 65536 : gunzip->room * 2;
	uint8_t *larger;

	if (gunzip->stream.avail_out != 0)
		return 0;
	if (room > gunzip->limit + 1) /* one more, to tell just full from too much */
		room = gunzip->limit + 1;
	if (used > gunzip->limit)
		return too_much(gunzip);
	larger = realloc(gunzip->out, room);
	if (larger == NULL)
		return -ENOMEM;
	gunzip->out = larger;
	gunzip->room = room;
	gunzip->stream.next_out = larger + used;
	gunzip->stream.avail_out = (uInt)(room - used);
	return 0;
}

/* One member, to its end. */
static int inflate_member(struct gunzip *gunzip)
{
	int status;

	for (;;) {
		status = make_room(gunzip);
		if (status != 0)
			return status;
		status = inflate(&gunzip->stream, Z_NO_FLUSH);
		if (status == Z_STREAM_END)
			return 0;
		if (status == Z_MEM_ERROR)
			return -ENOMEM;
		if (status == Z_DATA_ERROR || status == Z_NEED_DICT)
			return fail(gunzip, -EINVAL,
			            gunzip->stream.msg != NULL ? gunzip->stream.msg
			                                       : "damaged gzip data");
		if (gunzip->stream.avail_in == 0 && gunzip->stream.avail_out != 0)
			return fail(gunzip, -EINVAL, "truncated: the gzip data does not end");
	}
}

static int inflate_all(struct gunzip *gunzip)
{
	int status;

	do {
		status = inflate_member(gunzip);
		if (status != 0)
			return status;
		if (gunzip->stream.avail_in == 0)
			break;
		if (!rpcprof_pprof_is_gzip(gunzip->stream.next_in, gunzip->stream.avail_in))
			return fail(gunzip, -EINVAL, "bytes after the end of the gzip data");
		inflateReset(&gunzip->stream);
	} while (true);
	if (out_length(gunzip) > gunzip->limit)
		return too_much(gunzip);
	return 0;
}

int rpcprof_pprof_gunzip(const uint8_t *bytes, size_t length, size_t limit, uint8_t **out,
                         size_t *out_length_, struct pprof_error *error)
{
	struct gunzip gunzip = {.in = bytes, .in_length = length, .limit = limit, .error = error};
	int status;

	if (length > UINT32_MAX || limit > UINT32_MAX - 1) /* zlib counts in 32 bits */
		return fail(&gunzip, -EFBIG, "more than 4 GiB");
	if (inflateInit2(&gunzip.stream, 15 + 16) != Z_OK)
		return -ENOMEM;
	gunzip.stream.next_in = (z_const Bytef *)(uintptr_t)bytes;
	gunzip.stream.avail_in = (uInt)length;
	status = inflate_all(&gunzip);
	inflateEnd(&gunzip.stream);
	if (status != 0) {
		free(gunzip.out);
		return status;
	}
	*out = gunzip.out;
	*out_length_ = out_length(&gunzip);
	return 0;
}
