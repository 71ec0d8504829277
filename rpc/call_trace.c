/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/trace.h"

#include <string.h>
#include <sys/random.h>

#include "atomic_internal.h"
#include "rpcprof/clock.h"

#define SAMPLED 1u

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex(const char *text, uint8_t *out, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool all_zero(const uint8_t *id, size_t bytes)
{
	while (bytes > 0 && id[bytes - 1] == 0)
		bytes--;
	return bytes == 0;
}

/* Later versions may append, after a dash, what this one has not got. */
bool rpcprof_trace_parse(struct rpcprof_trace *trace, const char *text, size_t bytes)
{
	struct rpcprof_trace read;
	uint8_t version;

	if (bytes < RPCPROF_TRACEPARENT_BYTES || text[2] != '-' || text[35] != '-' ||
	    text[52] != '-' || !hex(text, &version, 1) || version == 0xff)
		return false;
	if (version == 0 ? bytes != RPCPROF_TRACEPARENT_BYTES
	                 : bytes > RPCPROF_TRACEPARENT_BYTES &&
	                           text[RPCPROF_TRACEPARENT_BYTES] != '-')
		return false;
	if (!hex(text + 3, read.trace_id, 16) || !hex(text + 36, read.span_id, 8) ||
	    !hex(text + 53, &read.flags, 1) || all_zero(read.trace_id, 16) ||
	    all_zero(read.span_id, 8))
		return false;
	*trace = read;
	return true;
}

/* Never 0 for a counter that does not wrap: splitmix64, a bijection, of a number used once. */
static uint64_t unique(void)
{
	static uint64_t seed, counter;
	uint64_t x = rpcprof_load_relaxed(&seed);

	/* relaxed, all: two threads that both find no seed both store one; either is good */
	if (x == 0) {
		if (getrandom(&x, sizeof(x), GRND_NONBLOCK) != sizeof(x))
			x = rpcprof_clock_now();
		rpcprof_store_relaxed(&seed, x | 1);
	}
	x += rpcprof_add_relaxed(&counter, UINT64_C(0x9e3779b97f4a7c15));
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	x ^= x >> 31;
	return x != 0 ? x : 1;
}

void rpcprof_trace_begin(struct rpcprof_trace *trace, const struct rpcprof_trace *parent)
{
	uint64_t id[2] = { unique(), unique() };
	uint64_t span = unique();

	if (parent) {
		*trace = *parent;
	} else {
		memcpy(trace->trace_id, id, sizeof(id));
		trace->flags = SAMPLED;
	}
	memcpy(trace->span_id, &span, sizeof(span));
}

static char *write_hex(char *to, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*to++ = digits[bytes[i] >> 4];
		*to++ = digits[bytes[i] & 15];
	}
	return to;
}

void rpcprof_trace_format(const struct rpcprof_trace *trace, char *text)
{
	const uint8_t version = 0;

	text = write_hex(text, &version, 1);
	*text++ = '-';
	text = write_hex(text, trace->trace_id, 16);
	*text++ = '-';
	text = write_hex(text, trace->span_id, 8);
	*text++ = '-';
	write_hex(text, &trace->flags, 1);
}
