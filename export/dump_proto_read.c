/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_proto_internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

void rpcprof_dump_read_header(const Rpcprof__V1__Header *from, struct dump_header *header)
{
	*header = (struct dump_header){.at_utc_ns = from->at_utc_ns,
	                               .pid = from->pid,
	                               .program = from->program,
	                               .clock = "?",
	                               .enabled = from->enabled};
	if (from->clock != NULL) {
		header->clock = from->clock->kind;
		header->date_error_ns = from->clock->date_error_ns;
		if (isfinite(from->clock->frequency_error_ppm)) /* JSON has no others */
			header->frequency_error_ppm = from->clock->frequency_error_ppm;
		header->steps = from->clock->steps;
	}
	if (from->counters != NULL) {
		header->recorded = from->counters->recorded;
		header->displaced = from->counters->displaced;
		header->drained = from->counters->drained;
		header->discarded = from->counters->discarded;
		header->dropped = from->counters->dropped;
	}
}

static int refuse(const char **error, const char *sentence)
{
	*error = sentence;
	return -EINVAL;
}

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
	uint64_t value = 0;

	for (size_t i = 0; i < count; i++)
		value = value << 8 | bytes[i];
	return value;
}

static int read_ids(const Rpcprof__V1__Stat *from, struct dump_call *call, const char **error)
{
	if (from->metadata.len > sizeof(call->metadata))
		return refuse(error, "\"metadata\" of more than 32 bytes");
	call->metadata_bytes = (uint32_t)from->metadata.len;
	if (from->metadata.len != 0)
		memcpy(call->metadata, from->metadata.data, from->metadata.len);
	call->has_connection = from->metadata.len == 12;
	if (call->has_connection) {
		call->connection = big_endian(call->metadata, 8);
		call->stream = (uint32_t)big_endian(call->metadata + 8, 4);
	}
	call->has_trace = from->trace_id.len == 16 && from->span_id.len == 8;
	if (!call->has_trace)
		return from->trace_id.len == 0 && from->span_id.len == 0
		               ? 0
		               : refuse(error, "\"trace_id\" or \"span_id\" not of its length");
	memcpy(call->trace_id, from->trace_id.data, 16);
	memcpy(call->span_id, from->span_id.data, 8);
	return 0;
}

static void read_stages(const Rpcprof__V1__Stat *from, struct dump_call *call,
                        struct dump_stage *stages)
{
	call->stages = stages;
	call->stage_count = (uint32_t)from->n_timers;
	for (size_t i = 0; i < from->n_timers; i++) {
		const Rpcprof__V1__Timer *timer = from->timers[i];

		stages[i] = (struct dump_stage){.tag = timer->tag,
		                                .offset_ns = timer->offset_ns,
		                                .duration_ns = timer->duration_ns,
		                                .thread = timer->thread,
		                                .open = timer->open};
	}
	rpcprof_dump_nest(stages, call->stage_count);
	for (size_t i = 0; i < from->n_folded; i++) {
		const Rpcprof__V1__Fold *fold = from->folded[i];

		call->folds[call->fold_count++] = (struct dump_fold){
			fold->tag, fold->count, fold->total_ns, fold->longest_ns};
		call->folded += fold->count;
	}
}

int rpcprof_dump_read_stat(const Rpcprof__V1__Stat *from, struct dump_call *call,
                           struct dump_stage *stages, const char **error)
{
	int status;

	if (from->n_timers > DUMP_STAGES_MAX)
		return refuse(error, "a call of more than 1024 timers");
	if (from->n_folded > RPCPROF_ACCUMULATORS || from->n_labels > RPCPROF_LABELS_MAX)
		return refuse(error, "a call of too many folds or labels");
	*call = (struct dump_call){.id = from->id,
	                           .side = from->side,
	                           .in_flight = from->in_flight,
	                           .begin_utc_ns = from->begin_utc_ns,
	                           .date_error_ns = from->date_error_ns,
	                           .duration_ns = from->duration_ns};
	status = read_ids(from, call, error);
	if (status != 0)
		return status;
	call->method = from->method[0] != '\0' ? from->method : NULL;
	call->open_stage = from->open_stage[0] != '\0' ? from->open_stage : NULL;
	call->has_status = from->status != NULL;
	call->status = call->has_status ? from->status->code : 0;
	for (size_t i = 0; i < from->n_labels; i++) {
		call->labels[i].key = from->labels[i]->key;
		call->labels[i].value = from->labels[i]->value;
	}
	call->label_count = (uint32_t)from->n_labels;
	read_stages(from, call, stages);
	return 0;
}
