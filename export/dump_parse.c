/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A reader of one object's members. The first that is missing or not of its kind is remembered
 * as a sentence, and all after it read as nothing.
 */
struct members {
	const json_t *object;
	const char *error;
};

static const char *get_text(struct members *members, const char *key, const char *otherwise,
                            const char *error)
{
	const json_t *value = json_object_get(members->object, key);

	if (value == NULL && otherwise != NULL)
		return otherwise;
	if (json_is_string(value))
		return json_string_value(value);
	if (members->error == NULL)
		members->error = error;
	return "";
}

/* A member that may be missing: `otherwise` then. */
static int64_t get_number(struct members *members, const char *key, int64_t otherwise,
                          const char *error)
{
	const json_t *value = json_object_get(members->object, key);

	if (value == NULL)
		return otherwise;
	if (!json_is_integer(value) && members->error == NULL)
		members->error = error;
	return json_integer_value(value);
}

/* A number that has to be there and not be negative. */
static uint64_t get_count(struct members *members, const char *key, const char *error)
{
	int64_t value = get_number(members, key, -1, error);

	if (value < 0 && members->error == NULL)
		members->error = error;
	return value < 0 ? 0 : (uint64_t)value;
}

static int finish(const struct members *members, const char **error)
{
	if (members->error == NULL)
		return 0;
	*error = members->error;
	return -EINVAL;
}

int rpcprof_dump_parse_header(const json_t *object, struct dump_header *header, const char **error)
{
	struct members members = {object, NULL};
	struct members clock = {json_object_get(object, "clock"), NULL};
	struct members counters = {json_object_get(object, "counters"), NULL};
	const char *format = get_text(&members, "format", "", "\"format\" is not a text");

	*header = (struct dump_header){0};
	if (members.error == NULL && strcmp(format, DUMP_FORMAT_NAME) != 0)
		members.error = "\"format\" is not \"" DUMP_FORMAT_NAME "\"";
	if (members.error == NULL && get_number(&members, "version", 0, NULL) != DUMP_FORMAT_VERSION)
		members.error = "of a version that this rpcprof does not read";
	header->at_utc_ns = get_number(&members, "at_utc_ns", 0, "\"at_utc_ns\" is not a number");
	header->pid = get_number(&members, "pid", 0, "\"pid\" is not a number");
	header->program = get_text(&members, "program", "?", "\"program\" is not a text");
	header->enabled = !json_is_false(json_object_get(object, "enabled"));
	header->clock = get_text(&clock, "kind", "?", "\"kind\" is not a text");
	header->date_error_ns = (uint64_t)get_number(&clock, "date_error_ns", 0, "a clock error");
	header->frequency_error_ppm =
		json_number_value(json_object_get(clock.object, "frequency_error_ppm"));
	header->steps = (uint64_t)get_number(&clock, "steps", 0, "\"steps\" is not a number");
	header->recorded = (uint64_t)get_number(&counters, "recorded", 0, "");
	header->displaced = (uint64_t)get_number(&counters, "displaced", 0, "");
	header->drained = (uint64_t)get_number(&counters, "drained", 0, "");
	header->discarded = (uint64_t)get_number(&counters, "discarded", 0, "");
	header->dropped = (uint64_t)get_number(&counters, "dropped_no_cell", 0, "");
	if (members.error == NULL && clock.error != NULL)
		members.error = "a member of \"clock\" is of the wrong kind";
	if (members.error == NULL && counters.error != NULL)
		members.error = "a member of \"counters\" is not a number";
	return finish(&members, error);
}

static int hex_digit(char digit)
{
	return isdigit((unsigned char)digit) ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

/* How many bytes the hex text has, at most `room`; -1 if it is not hex, or longer. */
static int get_hex(const char *text, uint8_t *bytes, size_t room)
{
	size_t digits = strlen(text);

	if (digits % 2 != 0 || digits / 2 > room)
		return -1;
	for (size_t i = 0; i < digits; i++)
		if (!isxdigit((unsigned char)text[i]))
			return -1;
	for (size_t i = 0; i < digits / 2; i++)
		bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return (int)(digits / 2);
}

static void parse_stage(struct members *members, struct dump_stage *stage)
{
	const char *error = "a stage lacks \"tag\", \"offset_ns\" or \"duration_ns\", or they are "
			    "of the wrong kind";

	stage->tag = get_text(members, "tag", NULL, error);
	stage->offset_ns = get_number(members, "offset_ns", 0, error);
	stage->duration_ns = get_count(members, "duration_ns", error);
	stage->thread = (uint32_t)get_number(members, "thread", 0, error);
	stage->open = json_is_true(json_object_get(members->object, "open"));
	stage->depth = 0;
}

static void parse_stages(struct members *members, struct dump_call *call, struct dump_stage *stages)
{
	const json_t *array = json_object_get(members->object, "stages");
	struct members stage = {NULL, NULL};

	call->stages = stages;
	if (members->error == NULL && array != NULL && !json_is_array(array))
		members->error = "\"stages\" is not an array";
	if (members->error == NULL && json_array_size(array) > DUMP_STAGES_MAX)
		members->error = "a call of more than 1024 stages";
	if (members->error != NULL)
		return;
	for (size_t i = 0; i < json_array_size(array); i++) {
		stage.object = json_array_get(array, i);
		parse_stage(&stage, &stages[call->stage_count++]);
	}
	members->error = stage.error;
	rpcprof_dump_nest(stages, call->stage_count);
}

static void parse_folds(struct members *members, struct dump_call *call)
{
	const json_t *array = json_object_get(members->object, "folded");
	const char *error = "a member of \"folded\" lacks \"tag\", \"count\", \"total_ns\" or "
			    "\"longest_ns\"";
	struct members fold = {NULL, NULL};

	if (json_array_size(array) > RPCPROF_ACCUMULATORS && members->error == NULL)
		members->error = "\"folded\" has too many members";
	if (members->error != NULL)
		return;
	for (size_t i = 0; i < json_array_size(array); i++) {
		struct dump_fold *to = &call->folds[call->fold_count++];

		fold.object = json_array_get(array, i);
		to->tag = get_text(&fold, "tag", NULL, error);
		to->count = get_count(&fold, "count", error);
		to->total_ns = get_count(&fold, "total_ns", error);
		to->longest_ns = get_count(&fold, "longest_ns", error);
		call->folded += to->count;
	}
	members->error = fold.error;
}

static void parse_labels(struct members *members, struct dump_call *call)
{
	json_t *object = json_object_get(members->object, "labels");
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		if (call->label_count == RPCPROF_LABELS_MAX || !json_is_string(value)) {
			if (members->error == NULL)
				members->error = "\"labels\" has more than 4 members, or one that "
						 "is not a text";
			return;
		}
		call->labels[call->label_count].key = key;
		call->labels[call->label_count++].value = json_string_value(value);
	}
}

static void parse_ids(struct members *members, struct dump_call *call)
{
	const char *error = "\"metadata\", \"trace_id\" or \"span_id\" is not hex of its length";
	int metadata = get_hex(get_text(members, "metadata", "", error), call->metadata,
	                       sizeof(call->metadata));
	int trace = get_hex(get_text(members, "trace_id", "", error), call->trace_id, 16);
	int span = get_hex(get_text(members, "span_id", "", error), call->span_id, 8);

	if ((metadata < 0 || trace < 0 || span < 0) && members->error == NULL)
		members->error = error;
	call->metadata_bytes = metadata < 0 ? 0 : (uint32_t)metadata;
	call->has_trace = trace == 16 && span == 8;
	call->id = strtoull(get_text(members, "id", "", "\"id\" is not a text"), NULL, 16);
}

static void parse_attributes(struct members *members, struct dump_call *call)
{
	const char *error = "a member of a call is not a number";

	call->has_status = json_object_get(members->object, "status") != NULL;
	call->status = (int32_t)get_number(members, "status", 0, error);
	call->has_connection = json_object_get(members->object, "connection") != NULL;
	call->connection = (uint64_t)get_number(members, "connection", 0, error);
	call->stream = (uint32_t)get_number(members, "stream", 0, error);
	if (json_object_get(members->object, "method") != NULL)
		call->method = get_text(members, "method", NULL, "\"method\" is not a text");
	if (json_object_get(members->object, "open_stage") != NULL)
		call->open_stage = get_text(members, "open_stage", NULL, "\"open_stage\"");
}

int rpcprof_dump_parse_call(const json_t *object, struct dump_call *call, struct dump_stage *stages,
                            const char **error)
{
	struct members members = {object, NULL};
	const char *state;

	*call = (struct dump_call){0};
	if (!json_is_object(object))
		members.error = "a call is not an object";
	state = get_text(&members, "state", "finished", "\"state\" is not a text");
	call->in_flight = strcmp(state, "in_flight") == 0;
	call->side = get_text(&members, "side", NULL, "a call without \"side\"");
	call->begin_utc_ns = get_number(&members, "begin_utc_ns", 0, "\"begin_utc_ns\"");
	call->date_error_ns = (uint64_t)get_number(&members, "date_error_ns", 0,
	                                           "\"date_error_ns\" is not a number");
	call->duration_ns = get_count(&members, call->in_flight ? "age_ns" : "duration_ns",
	                              call->in_flight ? "a call in flight without \"age_ns\""
	                                              : "a call without \"duration_ns\"");
	parse_attributes(&members, call);
	parse_ids(&members, call);
	parse_labels(&members, call);
	parse_stages(&members, call, stages);
	parse_folds(&members, call);
	return finish(&members, error);
}
