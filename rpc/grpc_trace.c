/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The W3C trace context of a call: https://www.w3.org/TR/trace-context/, section 3.2.
 *
 *     traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *                  version, trace id, id of the client's span, flags
 */
#include <grpc/support/alloc.h>
#include <string.h>
#include <sys/random.h>

#include "rpc/grpc_internal.h"

#define NAME "traceparent"
#define TEXT_BYTES 55
#define SAMPLED 1u

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex(const uint8_t *text, uint8_t *out, size_t bytes)
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
static bool parse(const uint8_t *text, size_t bytes, struct rpcprof_grpc_trace *trace)
{
	uint8_t version;

	if (bytes < TEXT_BYTES || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
	    !hex(text, &version, 1) || version == 0xff)
		return false;
	if (version == 0 ? bytes != TEXT_BYTES : bytes > TEXT_BYTES && text[TEXT_BYTES] != '-')
		return false;
	return hex(text + 3, trace->trace_id, 16) && hex(text + 36, trace->span_id, 8) &&
	       hex(text + 53, &trace->flags, 1) &&
	       !all_zero(trace->trace_id, 16) && !all_zero(trace->span_id, 8);
}

static bool named_traceparent(grpc_slice key)
{
	return GRPC_SLICE_LENGTH(key) == strlen(NAME) &&
	       memcmp(GRPC_SLICE_START_PTR(key), NAME, strlen(NAME)) == 0;
}

void rpcprof_grpc_metadata_on(struct rpcprof_grpc_call *c, const grpc_metadata *metadata,
                              size_t count)
{
	struct rpcprof_grpc_trace trace;

	for (size_t i = 0; i < count; i++) {
		if (!named_traceparent(metadata[i].key))
			continue;
		if (parse(GRPC_SLICE_START_PTR(metadata[i].value),
		          GRPC_SLICE_LENGTH(metadata[i].value), &trace)) {
			trace.origin = RPCPROF_GRPC_TRACE_OWN;
			c->trace = trace;
			rpcprof_stat_set_trace(c->call.stat, trace.trace_id, trace.span_id);
		}
		return;
	}
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

/* A new span: of the parent's trace, or of a new one, which is marked as recorded, since it is. */
static void make(struct rpcprof_grpc_trace *trace)
{
	uint64_t id[2] = { unique(), unique() };
	uint64_t span = unique();

	if (trace->origin == RPCPROF_GRPC_TRACE_NONE) {
		memcpy(trace->trace_id, id, sizeof(id));
		trace->flags = SAMPLED;
	}
	memcpy(trace->span_id, &span, sizeof(span));
	trace->origin = RPCPROF_GRPC_TRACE_OWN;
}

static uint8_t *write_hex(uint8_t *to, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*to++ = (uint8_t)digits[bytes[i] >> 4];
		*to++ = (uint8_t)digits[bytes[i] & 15];
	}
	return to;
}

static grpc_slice format(const struct rpcprof_grpc_trace *trace)
{
	grpc_slice text = grpc_slice_malloc(TEXT_BYTES);
	uint8_t *to = GRPC_SLICE_START_PTR(text);
	const uint8_t version = 0;

	to = write_hex(to, &version, 1);
	*to++ = '-';
	to = write_hex(to, trace->trace_id, 16);
	*to++ = '-';
	to = write_hex(to, trace->span_id, 8);
	*to++ = '-';
	write_hex(to, &trace->flags, 1);
	return text;
}

static const grpc_op *client_header(const grpc_op *ops, size_t nops)
{
	for (size_t i = 0; i < nops; i++)
		if (ops[i].op == GRPC_OP_SEND_INITIAL_METADATA)
			return &ops[i];
	return NULL;
}

bool rpcprof_grpc_trace_wanted(const struct grpc_record *r, const grpc_op *ops, size_t nops)
{
	const grpc_op *header;

	if (!rpcprof_grpc_options.send_traceparent || r->server || nops > GRPC_BATCHES_MAX)
		return false;
	header = client_header(ops, nops);
	if (!header)
		return false;
	for (size_t i = 0; i < header->data.send_initial_metadata.count; i++)
		if (named_traceparent(header->data.send_initial_metadata.metadata[i].key))
			return false; /* the program's own goes out; see rpcprof_grpc_metadata_on() */
	return true;
}

/* The ids reach the Stat as those of a program's own do: by the batch. */
void rpcprof_grpc_trace_add(struct grpc_record *r, const grpc_op *ops, size_t nops,
                            struct grpc_traced *traced)
{
	grpc_op *header;
	size_t count;

	memcpy(traced->ops, ops, nops * sizeof(*ops));
	header = (grpc_op *)(uintptr_t)client_header(traced->ops, nops);
	count = header->data.send_initial_metadata.count;
	traced->metadata = gpr_zalloc((count + 1) * sizeof(*traced->metadata));
	if (count > 0)
		memcpy(traced->metadata, header->data.send_initial_metadata.metadata,
		       count * sizeof(*traced->metadata));
	make(&r->c.trace);
	traced->value = format(&r->c.trace);
	traced->metadata[count].key = grpc_slice_from_static_string(NAME);
	traced->metadata[count].value = traced->value;
	header->data.send_initial_metadata.metadata = traced->metadata;
	header->data.send_initial_metadata.count = count + 1;
}

/* Core has taken its own references by the time that start_batch returns. */
void rpcprof_grpc_trace_done(struct grpc_traced *traced)
{
	grpc_slice_unref(traced->value);
	gpr_free(traced->metadata);
}
