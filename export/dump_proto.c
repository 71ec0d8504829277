/* SPDX-License-Identifier: Apache-2.0 */
/* Dumps as protocol buffers: proto/rpcprof/v1/profiling.proto. */
#include <stdlib.h>
#include <string.h>

#include "export/dump_proto_internal.h"
#include "export/pprof_model_internal.h"

struct dump_repaired {
	struct dump_repaired *next;
	char text[];
};

char *rpcprof_dump_text(struct dump_texts *texts, const char *name)
{
	size_t length = strlen(name);
	struct dump_repaired *copy;

	if (rpcprof_pprof_utf8_valid(name, length))
		return (char *)(uintptr_t)name; /* packing only reads it */
	copy = malloc(sizeof(*copy) + 3 * length + 1);
	if (copy == NULL) {
		texts->failed = true;
		return (char *)(uintptr_t)"";
	}
	copy->text[rpcprof_pprof_utf8_repair(copy->text, name, length)] = '\0';
	copy->next = texts->repaired;
	texts->repaired = copy;
	return copy->text;
}

void rpcprof_dump_texts_free(struct dump_texts *texts)
{
	while (texts->repaired != NULL) {
		struct dump_repaired *next = texts->repaired->next;

		free(texts->repaired);
		texts->repaired = next;
	}
}

static ProtobufCBinaryData data(const uint8_t *bytes, size_t length)
{
	return (ProtobufCBinaryData){.len = length, .data = (uint8_t *)(uintptr_t)bytes};
}

/* What a header points at while it is packed. */
struct header_parts {
	Rpcprof__V1__Header header;
	Rpcprof__V1__Clock clock;
	Rpcprof__V1__Counters counters;
};

static Rpcprof__V1__Header *make_header(struct dump_texts *texts, struct header_parts *parts,
                                        const struct dump_header *from)
{
	rpcprof__v1__clock__init(&parts->clock);
	parts->clock.kind = rpcprof_dump_text(texts, from->clock);
	parts->clock.date_error_ns = from->date_error_ns;
	parts->clock.frequency_error_ppm = from->frequency_error_ppm;
	parts->clock.steps = from->steps;
	rpcprof__v1__counters__init(&parts->counters);
	parts->counters.recorded = from->recorded;
	parts->counters.displaced = from->displaced;
	parts->counters.drained = from->drained;
	parts->counters.discarded = from->discarded;
	parts->counters.dropped = from->dropped;
	rpcprof__v1__header__init(&parts->header);
	parts->header.at_utc_ns = from->at_utc_ns;
	parts->header.program = rpcprof_dump_text(texts, from->program);
	parts->header.pid = from->pid;
	parts->header.enabled = from->enabled;
	parts->header.clock = &parts->clock;
	parts->header.counters = &parts->counters;
	return &parts->header;
}

static Rpcprof__V1__End *make_end(Rpcprof__V1__End *end, const struct dump_end *from)
{
	rpcprof__v1__end__init(end);
	end->stats = from->calls;
	end->torn = from->torn;
	end->date_error_ns = from->date_error_ns;
	return end;
}

/* What a Stat points at while it is packed. */
struct stat_parts {
	Rpcprof__V1__Stat stat, *stats[1];
	Rpcprof__V1__StatusCode status;
	Rpcprof__V1__Label label[RPCPROF_LABELS_MAX], *labels[RPCPROF_LABELS_MAX];
	Rpcprof__V1__Timer timer[DUMP_STAGES_MAX], *timers[DUMP_STAGES_MAX];
	Rpcprof__V1__Fold fold[RPCPROF_ACCUMULATORS], *folds[RPCPROF_ACCUMULATORS];
};

static void fill_timers(struct dump_texts *texts, Rpcprof__V1__Stat *stat, struct stat_parts *parts,
                        const struct dump_call *call)
{
	for (uint32_t i = 0; i < call->stage_count; i++) {
		const struct dump_stage *stage = &call->stages[i];
		Rpcprof__V1__Timer *timer = parts->timers[i] = &parts->timer[i];

		rpcprof__v1__timer__init(timer);
		timer->tag = rpcprof_dump_text(texts, stage->tag);
		timer->offset_ns = stage->offset_ns;
		timer->duration_ns = stage->duration_ns;
		timer->thread = stage->thread;
		timer->open = stage->open;
	}
	stat->n_timers = call->stage_count;
	stat->timers = parts->timers;
	for (uint32_t i = 0; i < call->fold_count; i++) {
		Rpcprof__V1__Fold *fold = parts->folds[i] = &parts->fold[i];

		rpcprof__v1__fold__init(fold);
		fold->tag = rpcprof_dump_text(texts, call->folds[i].tag);
		fold->count = call->folds[i].count;
		fold->total_ns = call->folds[i].total_ns;
		fold->longest_ns = call->folds[i].longest_ns;
	}
	stat->n_folded = call->fold_count;
	stat->folded = parts->folds;
}

static void fill_attributes(struct dump_texts *texts, Rpcprof__V1__Stat *stat, struct stat_parts *parts,
                            const struct dump_call *call)
{
	if (call->has_status) {
		rpcprof__v1__status_code__init(&parts->status);
		parts->status.code = call->status;
		stat->status = &parts->status;
	}
	stat->metadata = data(call->metadata, call->metadata_bytes);
	if (call->has_trace) {
		stat->trace_id = data(call->trace_id, sizeof(call->trace_id));
		stat->span_id = data(call->span_id, sizeof(call->span_id));
	}
	for (uint32_t i = 0; i < call->label_count; i++) {
		Rpcprof__V1__Label *label = parts->labels[i] = &parts->label[i];

		rpcprof__v1__label__init(label);
		label->key = rpcprof_dump_text(texts, call->labels[i].key);
		label->value = rpcprof_dump_text(texts, call->labels[i].value);
	}
	stat->n_labels = call->label_count;
	stat->labels = parts->labels;
}

static Rpcprof__V1__Stat **make_stat(struct dump_texts *texts, struct stat_parts *parts,
                                     const struct dump_call *from)
{
	Rpcprof__V1__Stat *stat = parts->stats[0] = &parts->stat;

	rpcprof__v1__stat__init(stat);
	stat->id = from->id;
	stat->side = rpcprof_dump_text(texts, from->side);
	stat->method = rpcprof_dump_text(texts, from->method != NULL ? from->method : "");
	stat->in_flight = from->in_flight;
	stat->open_stage = rpcprof_dump_text(texts, from->open_stage != NULL ? from->open_stage : "");
	stat->begin_utc_ns = from->begin_utc_ns;
	stat->date_error_ns = from->date_error_ns;
	stat->duration_ns = from->duration_ns;
	fill_attributes(texts, stat, parts, from);
	fill_timers(texts, stat, parts, from);
	return parts->stats;
}

size_t rpcprof_dump_pack(const struct dump_part *part, uint8_t *out, size_t room)
{
	Rpcprof__V1__Dump dump = RPCPROF__V1__DUMP__INIT;
	struct dump_texts texts = {NULL, false};
	struct header_parts header;
	struct stat_parts stat;
	Rpcprof__V1__End end;
	size_t length;

	if (part->header != NULL)
		dump.header = make_header(&texts, &header, part->header);
	if (part->call != NULL) {
		dump.n_stats = 1;
		dump.stats = make_stat(&texts, &stat, part->call);
	}
	if (part->end != NULL)
		dump.end = make_end(&end, part->end);
	length = texts.failed ? 0 : rpcprof__v1__dump__get_packed_size(&dump);
	if (length != 0 && length <= room)
		rpcprof__v1__dump__pack(&dump, out);
	rpcprof_dump_texts_free(&texts);
	return length;
}
