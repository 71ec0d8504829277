/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's whole call in one batch shows nothing but its length. Split, it goes to core as up to
 * four batches, each with a slot and a stage of its own: what it sends, the header, the message,
 * the status. The user has one tag and gets one event.
 *
 * On `next` and callback queues whichever part comes last brings the user's event. Who plucks
 * waits for the user's tag, so there the part with the status has it, and the plucker takes the
 * other parts, whose tags are their slots, before.
 *
 * Core takes a batch whole or not at all; a split one has to be as good. So only the first batch
 * of a call is split, if nothing but what it sends can be refused: that part goes first.
 */
#include <string.h>

#include "rpc/grpc_internal.h"

enum part { SENDS, HEADER, MESSAGE, STATUS, PARTS };

static enum part part_of(const grpc_op *op)
{
	switch (op->op) {
	case GRPC_OP_SEND_INITIAL_METADATA:
	case GRPC_OP_SEND_MESSAGE:
	case GRPC_OP_SEND_CLOSE_FROM_CLIENT:
		return SENDS;
	case GRPC_OP_RECV_INITIAL_METADATA:
		return HEADER;
	case GRPC_OP_RECV_MESSAGE:
		return MESSAGE;
	case GRPC_OP_RECV_STATUS_ON_CLIENT:
		return STATUS;
	default:
		return PARTS;
	}
}

/* Which parts the batch has, bit by bit; 0: it is not to be split. */
static uint32_t parts_of(const struct grpc_record *r, const grpc_op *ops, size_t nops)
{
	uint32_t seen = 0;

	/* relaxed: two first batches at once are for core to refuse */
	if (r->server || rpcprof_load_relaxed(&r->begun) || nops < 2 || nops > GRPC_BATCHES_MAX)
		return 0;
	for (size_t i = 0; i < nops; i++) {
		enum part part = part_of(&ops[i]);

		if (part == PARTS || ops[i].reserved ||
		    (part != SENDS && (ops[i].flags != 0 || (seen & 1u << part))))
			return 0;
		seen |= 1u << part;
	}
	return seen & 1u << STATUS ? seen : 0;
}

/* The part that sends has a hold beside its slot, for who starts it. */
static uint32_t others(enum part part)
{
	return part == SENDS ? GRPC_HOLD : 0;
}

/* Of parts that were not started. */
static void parts_close(struct grpc_record *r, const struct grpc_parts *parts, enum part from)
{
	for (enum part part = from; part < PARTS; part++) {
		if (!parts->slots[part])
			continue;
		rpcprof_grpc_slot_close(parts->slots[part], r->queue_kind);
		if (others(part) != 0)
			rpcprof_grpc_record_drop(r, others(part));
	}
}

bool rpcprof_grpc_split_open(struct grpc_record *r, const grpc_op *ops, size_t nops, void *tag,
                             struct grpc_parts *parts)
{
	uint32_t wanted = parts_of(r, ops, nops);

	if (wanted == 0)
		return false;
	memset(parts, 0, sizeof(*parts));
	/* relaxed: published by each part's B1 */
	rpcprof_store_relaxed(&r->parts_left, (uint32_t)__builtin_popcount(wanted));
	for (enum part part = SENDS; part < PARTS; part++) {
		if (!(wanted & 1u << part))
			continue;
		parts->tags[part] = tag;
		parts->slots[part] = rpcprof_grpc_slot_open(
			r, others(part), r->cq, r->queue_kind,
			part == STATUS ? GRPC_LAST_PART : GRPC_PART, &parts->tags[part]);
		if (!parts->slots[part]) {
			parts_close(r, parts, SENDS);
			return false;
		}
	}
	return true;
}

/* The operations of one part, in their order. */
static size_t choose(const grpc_op *ops, size_t nops, enum part part, grpc_op *chosen)
{
	size_t n = 0;

	for (size_t i = 0; i < nops; i++)
		if (part_of(&ops[i]) == part)
			chosen[n++] = ops[i];
	return n;
}

/* relaxed: read by who has the last part's tag, which is started after this. */
static void unplucked_add(const struct grpc_slot *slot)
{
	struct grpc_record *r = rpcprof_grpc_record_of(slot);

	if (r->queue_kind == GRPC_QUEUE_PLUCK)
		rpcprof_or_relaxed(&r->unplucked, 1u << (slot - r->slots));
}

grpc_call_error rpcprof_grpc_split_start(const struct grpc_parts *parts, const grpc_op *ops,
                                         size_t nops)
{
	grpc_op chosen[GRPC_BATCHES_MAX];

	for (enum part part = SENDS; part < PARTS; part++) {
		struct grpc_slot *slot = parts->slots[part];
		grpc_call_error error;
		size_t count;

		if (!slot)
			continue;
		count = choose(ops, nops, part, chosen);
		error = rpcprof_grpc_batch_start(slot, chosen, count,
		                                 rpcprof_grpc_bits(chosen, count),
		                                 parts->tags[part]);
		if (error != GRPC_CALL_OK) {
			parts_close(rpcprof_grpc_record_of(slot), parts, part + 1);
			return error;
		}
		/* After the last one the user may have his event already, and the record be gone. */
		if (part != STATUS)
			unplucked_add(slot);
	}
	return GRPC_CALL_OK;
}

grpc_event rpcprof_grpc_split_pluck(struct grpc_slot *last, gpr_timespec deadline)
{
	struct grpc_record *r = rpcprof_grpc_record_of(last);
	grpc_event event = { .type = GRPC_OP_COMPLETE };
	uint32_t left;
	void *tag;

	/* relaxed: stored before the last part was started, and by whoever plucks its tag */
	while ((left = rpcprof_load_relaxed(&r->unplucked)) != 0) {
		struct grpc_slot *slot = &r->slots[__builtin_ctz(left)];

		event = grpc_completion_queue_pluck(last->cq, slot, deadline, NULL);
		if (event.type != GRPC_OP_COMPLETE)
			return event;
		rpcprof_store_relaxed(&r->unplucked, left & (left - 1));
		rpcprof_grpc_slot_done(slot, &event.success, &tag);
	}
	return event;
}
