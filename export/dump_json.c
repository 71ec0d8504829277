/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <stdlib.h>
#include <string.h>

#include "export/pprof_model_internal.h"

/* Sets a member. A value that could not be made, or kept, makes the whole object NULL. */
static void set(json_t **object, const char *key, json_t *value)
{
	if (*object == NULL) {
		json_decref(value);
		return;
	}
	if (json_object_set_new(*object, key, value) != 0) {
		json_decref(*object);
		*object = NULL;
	}
}

/* Names are any bytes; JSON's strings are UTF-8. */
static json_t *text(const char *name)
{
	size_t length = strlen(name);
	json_t *value;
	char *valid;

	if (rpcprof_pprof_utf8_valid(name, length))
		return json_stringn(name, length);
	valid = malloc(3 * length);
	if (valid == NULL)
		return NULL;
	value = json_stringn(valid, rpcprof_pprof_utf8_repair(valid, name, length));
	free(valid);
	return value;
}

/* Sets a member whose name is any bytes too. */
static void set_named(json_t **object, const char *name, json_t *value)
{
	json_t *key = text(name);

	set(object, key != NULL ? json_string_value(key) : NULL, value);
	json_decref(key);
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value));
}

static json_t *hex(const uint8_t *bytes, size_t count)
{
	char digits[2 * RPCPROF_METADATA_MAX + 1];

	for (size_t i = 0; i < count; i++)
		snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
	return json_stringn(digits, 2 * count);
}

json_t *rpcprof_dump_json_header(const struct dump_header *header)
{
	json_t *object = json_object(), *clock = json_object(), *counters = json_object();

	set(&clock, "kind", text(header->clock));
	set(&clock, "date_error_ns", number(header->date_error_ns));
	set(&clock, "frequency_error_ppm", json_real(header->frequency_error_ppm));
	set(&clock, "steps", number(header->steps));
	set(&counters, "recorded", number(header->recorded));
	set(&counters, "displaced", number(header->displaced));
	set(&counters, "drained", number(header->drained));
	set(&counters, "discarded", number(header->discarded));
	set(&counters, "dropped_no_cell", number(header->dropped));
	set(&object, "format", json_string(DUMP_FORMAT_NAME));
	set(&object, "version", json_integer(DUMP_FORMAT_VERSION));
	set(&object, "at_utc_ns", json_integer(header->at_utc_ns));
	set(&object, "program", text(header->program));
	set(&object, "pid", json_integer(header->pid));
	set(&object, "enabled", json_boolean(header->enabled));
	set(&object, "clock", clock);
	set(&object, "counters", counters);
	return object;
}

static json_t *stages_json(const struct dump_call *call)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array != NULL && i < call->stage_count; i++) {
		const struct dump_stage *stage = &call->stages[i];
		json_t *object = json_object();

		set(&object, "tag", text(stage->tag));
		set(&object, "offset_ns", json_integer(stage->offset_ns));
		set(&object, "duration_ns", number(stage->duration_ns));
		set(&object, "thread", json_integer(stage->thread));
		if (stage->open)
			set(&object, "open", json_true());
		if (json_array_append_new(array, object) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *folds_json(const struct dump_call *call)
{
	json_t *array = json_array();

	for (uint32_t i = 0; array != NULL && i < call->fold_count; i++) {
		const struct dump_fold *fold = &call->folds[i];
		json_t *object = json_object();

		set(&object, "tag", text(fold->tag));
		set(&object, "count", number(fold->count));
		set(&object, "total_ns", number(fold->total_ns));
		set(&object, "longest_ns", number(fold->longest_ns));
		if (json_array_append_new(array, object) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *labels_json(const struct dump_call *call)
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < call->label_count; i++)
		set_named(&object, call->labels[i].key, text(call->labels[i].value));
	return object;
}

static void set_attributes(json_t **object, const struct dump_call *call)
{
	if (call->has_status) {
		const char *name = rpcprof_dump_status_name(call->status);

		set(object, "status", json_integer(call->status));
		if (name != NULL)
			set(object, "status_name", json_string(name));
	}
	if (call->has_connection) {
		set(object, "connection", number(call->connection));
		set(object, "stream", json_integer(call->stream));
	}
	if (call->metadata_bytes != 0)
		set(object, "metadata", hex(call->metadata, call->metadata_bytes));
	if (call->has_trace) {
		set(object, "trace_id", hex(call->trace_id, sizeof(call->trace_id)));
		set(object, "span_id", hex(call->span_id, sizeof(call->span_id)));
	}
	if (call->label_count != 0)
		set(object, "labels", labels_json(call));
}

json_t *rpcprof_dump_json_call(const struct dump_call *call)
{
	json_t *object = json_object();
	char id[17];

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)call->id);
	set(&object, "id", json_string(id));
	set(&object, "state", json_string(call->in_flight ? "in_flight" : "finished"));
	set(&object, "side", text(call->side));
	if (call->method != NULL)
		set(&object, "method", text(call->method));
	set(&object, "begin_utc_ns", json_integer(call->begin_utc_ns));
	set(&object, "date_error_ns", number(call->date_error_ns));
	set(&object, call->in_flight ? "age_ns" : "duration_ns", number(call->duration_ns));
	if (call->in_flight && call->open_stage != NULL)
		set(&object, "open_stage", text(call->open_stage));
	set_attributes(&object, call);
	set(&object, "stages", stages_json(call));
	if (call->fold_count != 0)
		set(&object, "folded", folds_json(call));
	return object;
}

json_t *rpcprof_dump_json_end(const struct dump_end *end)
{
	json_t *object = json_object();

	set(&object, "calls", number(end->calls));
	set(&object, "torn", number(end->torn));
	set(&object, "date_error_ns", number(end->date_error_ns));
	return object;
}
