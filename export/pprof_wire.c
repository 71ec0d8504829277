/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_wire_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

int rpcprof_pprof_fail(struct pprof_wire *wire, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(wire->error->text, sizeof(wire->error->text), format, arguments);
	va_end(arguments);
	wire->error->offset = wire->at;
	return -EINVAL;
}

/* False if the varint does not end within the bytes, or is longer than 64 bits. */
static bool read_varint(const struct pprof_wire *wire, size_t *at, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 64 && *at < wire->length; shift += 7) {
		uint8_t byte = wire->bytes[(*at)++];

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static int read_length(struct pprof_wire *wire, struct pprof_field *field, size_t at)
{
	uint64_t length = field->wire == FIXED64 ? 8 : field->wire == FIXED32 ? 4 : 0;
	uint64_t number;

	if (field->wire != VARINT && field->wire != BYTES && length == 0)
		return rpcprof_pprof_fail(wire, "not a profile: wire type %" PRIu32, field->wire);
	if (length == 0 && !read_varint(wire, &at, &number))
		return rpcprof_pprof_fail(wire, "truncated, or not a profile: a %s does not end",
		                          field->wire == BYTES ? "length" : "number");
	if (field->wire == BYTES)
		length = number;
	if (length > wire->length - at)
		return rpcprof_pprof_fail(wire,
		                          "truncated, or not a profile: field %" PRIu64
		                          " of %" PRIu64 " bytes, %zu left",
		                          field->number, length, wire->length - at);
	field->payload = at;
	field->end = at + (size_t)length;
	return 0;
}

int rpcprof_pprof_read_field(struct pprof_wire *wire, struct pprof_field *field)
{
	size_t at = wire->at;
	uint64_t tag;

	field->begin = at;
	if (!read_varint(wire, &at, &tag))
		return rpcprof_pprof_fail(wire, "truncated, or not a profile: a tag does not end");
	field->number = tag >> 3;
	field->wire = (uint32_t)tag & 7;
	if (field->number == 0)
		return rpcprof_pprof_fail(wire, "not a profile: field number 0");
	if (field->number <= PPROF_FIELD_STRING_TABLE && field->wire != BYTES)
		return rpcprof_pprof_fail(wire,
		                          "not a profile: field %" PRIu64 " has wire type %" PRIu32,
		                          field->number, field->wire);
	return read_length(wire, field, at);
}
