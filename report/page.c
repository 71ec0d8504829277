/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report: one HTML page that holds all it needs. The parts in page/ are put where page.html
 * names them. The data is JSON, compressed and in base 64, so that no name in it is ever HTML.
 */
#include "report/page_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "rpcprof/version.h"

/* ---- data ---- */

/* A member that could not be made makes the whole NULL, as jansson's own functions do not. */
static void set(json_t **object, const char *key, json_t *value)
{
	if (*object == NULL) {
		json_decref(value);
	} else if (json_object_set_new(*object, key, value) != 0) {
		json_decref(*object);
		*object = NULL;
	}
}

static void append(json_t **array, int64_t value)
{
	if (*array != NULL && json_array_append_new(*array, json_integer(value)) != 0) {
		json_decref(*array);
		*array = NULL;
	}
}

static int64_t clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static json_t *names_json(const struct rpcprof_pprof *names)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < names->texts_count; i++)
		if (json_array_append_new(array, json_string(rpcprof_pprof_text(names,
		                                                                (uint32_t)i))) != 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *files_json(const struct calls *calls)
{
	json_t *array = json_array();

	for (size_t i = 0; array != NULL && i < calls->file_count; i++) {
		const struct calls_file *file = &calls->files[i];
		json_t *object = json_object();

		set(&object, "program", json_integer(file->program));
		set(&object, "pid", json_integer(file->pid));
		set(&object, "displaced", json_integer(clamp(file->displaced)));
		set(&object, "dropped", json_integer(clamp(file->dropped)));
		set(&object, "torn", json_integer(clamp(file->torn)));
		if (json_array_append_new(array, object) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* Columns of numbers compress well, and become typed arrays. */
enum call_column { BEGIN, DURATION, FILE_NUMBER, SIDE, METHOD, STATUS, FLAGS, OTHER, STAGES, FOLDS,
	           CALL_COLUMNS };
enum stage_column { TAG, OFFSET, LENGTH, THREAD, DEPTH, LANE, STAGE_COLUMNS };
enum fold_column { FOLD_TAG, COUNT, TOTAL, LONGEST, FOLD_COLUMNS };

static const char *const call_columns[] = {"begin", "duration", "file", "side", "method", "status",
	                                   "flags", "other", "stages", "folds"};
static const char *const stage_columns[] = {"tag", "offset", "duration", "thread", "depth", "lane"};
static const char *const fold_columns[] = {"tag", "count", "total", "longest"};

static void open_columns(json_t **columns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		columns[i] = json_array();
}

static json_t *columns_json(json_t **columns, const char *const *names, size_t count)
{
	json_t *object = json_object();

	for (size_t i = 0; i < count; i++)
		set(&object, names[i], columns[i]);
	return object;
}

static void add_call(json_t **columns, const struct calls *calls, size_t index)
{
	const struct call *call = &calls->list[index];
	const struct call *before = index > 0 ? call - 1 : call; /* begins as differences */
	const int64_t values[CALL_COLUMNS] = {
		[BEGIN] = (int64_t)((uint64_t)call->begin_utc_ns - (uint64_t)before->begin_utc_ns),
		[DURATION] = clamp(call->duration_ns), [FILE_NUMBER] = call->file,
		[SIDE] = call->side, [METHOD] = call->method, [STATUS] = call->status,
		[FLAGS] = call->has_status | call->in_flight << 1,
		[OTHER] = call->other == CALLS_NONE ? -1 : (int64_t)call->other,
		[STAGES] = call->stage_count, [FOLDS] = call->fold_count};

	for (size_t i = 0; i < CALL_COLUMNS; i++)
		append(&columns[i], values[i]);
}

static void add_stages(json_t **columns, const struct calls *calls, const struct call *call)
{
	for (size_t k = 0; k < call->stage_count; k++) {
		const struct call_stage *stage = &calls->stages[call->stages + k];
		const int64_t values[STAGE_COLUMNS] = {
			[TAG] = stage->tag, [OFFSET] = stage->offset_ns,
			[LENGTH] = clamp(stage->duration_ns), [THREAD] = stage->thread,
			[DEPTH] = stage->depth, [LANE] = stage->lane};

		for (size_t i = 0; i < STAGE_COLUMNS; i++)
			append(&columns[i], values[i]);
	}
}

static void add_folds(json_t **columns, const struct calls *calls, const struct call *call)
{
	for (size_t k = 0; k < call->fold_count; k++) {
		const struct call_fold *fold = &calls->folds[call->folds + k];
		const int64_t values[FOLD_COLUMNS] = {fold->tag, clamp(fold->count),
		                                      clamp(fold->total_ns),
		                                      clamp(fold->longest_ns)};

		for (size_t i = 0; i < FOLD_COLUMNS; i++)
			append(&columns[i], values[i]);
	}
}

static void set_calls(json_t **data, const struct report_page *page)
{
	const struct calls *calls = page->calls;
	json_t *of_calls[CALL_COLUMNS], *of_stages[STAGE_COLUMNS], *of_folds[FOLD_COLUMNS];

	open_columns(of_calls, CALL_COLUMNS);
	open_columns(of_stages, STAGE_COLUMNS);
	open_columns(of_folds, FOLD_COLUMNS);
	for (size_t i = 0; i < calls->call_count; i++) {
		if (i % 1024 == 0 && page->progress != NULL)
			page->progress("report", i, calls->call_count);
		add_call(of_calls, calls, i);
		add_stages(of_stages, calls, &calls->list[i]);
		add_folds(of_folds, calls, &calls->list[i]);
	}
	set(data, "calls", columns_json(of_calls, call_columns, CALL_COLUMNS));
	set(data, "stages", columns_json(of_stages, stage_columns, STAGE_COLUMNS));
	set(data, "folds", columns_json(of_folds, fold_columns, FOLD_COLUMNS));
}

/* A browser walks a tree by recursion: what lies deeper than this counts for its ancestor there. */
#define DEPTH_MAX 400

static json_t *tree_json(const struct tree *tree)
{
	static const char *const names[] = {"parent", "name", "self", "calls", "stages",
	                                    "base_self", "base_calls"};
	enum { COLUMNS = sizeof(names) / sizeof(names[0]) };
	json_t *columns[COLUMNS];

	open_columns(columns, COLUMNS);
	for (size_t i = 0; i < tree->count; i++) {
		const struct tree_node *node = &tree->nodes[i];
		const struct tree_values *now = &node->column[TREE_THIS];
		const struct tree_values *base = &node->column[TREE_BASE];
		const int64_t values[COLUMNS] = {node->parent, node->name, now->self, now->calls,
		                                 now->stages, base->self, base->calls};

		for (size_t k = 0; k < COLUMNS; k++)
			append(&columns[k], values[k]);
	}
	return columns_json(columns, names, COLUMNS);
}

static json_t *data_json(const struct report_page *page)
{
	const struct calls *calls = page->calls;
	json_t *data = json_object();
	char begin[24];

	snprintf(begin, sizeof(begin), "%" PRId64,
	         calls->call_count != 0 ? calls->list[0].begin_utc_ns : 0);
	set(&data, "version", json_string(rpcprof_version()));
	set(&data, "names", names_json(page->names));
	set(&data, "files", files_json(calls));
	set(&data, "begin_utc_ns", json_string(begin)); /* more than a double holds */
	set(&data, "left_out", json_integer((json_int_t)calls->left_out));
	set(&data, "joined", json_integer((json_int_t)calls->joined));
	set(&data, "why_not_joined", json_string(report_calls_why_not_joined(calls)));
	set(&data, "has_dumps", json_boolean(calls->file_count != 0));
	set(&data, "has_base", json_boolean(page->has_base));
	set(&data, "of_calls", json_boolean(page->tree->of_calls));
	set(&data, "type", json_string(rpcprof_pprof_text(page->names, page->tree->type)));
	set(&data, "unit", json_string(rpcprof_pprof_text(page->names, page->tree->unit)));
	set(&data, "depth_max", json_integer(DEPTH_MAX));
	set_calls(&data, page);
	set(&data, "tree", tree_json(page->tree));
	return data;
}

/* ---- the page ---- */

static void put_base64(FILE *out, const uint8_t *bytes, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < length; i += 3) {
		uint32_t word = (uint32_t)bytes[i] << 16;

		if (i + 1 < length)
			word |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < length)
			word |= bytes[i + 2];
		fputc(digits[word >> 18], out);
		fputc(digits[word >> 12 & 63], out);
		fputc(i + 1 < length ? digits[word >> 6 & 63] : '=', out);
		fputc(i + 2 < length ? digits[word & 63] : '=', out);
	}
}

/* JSON as zlib data. NULL without memory. */
static uint8_t *compress_json(const json_t *data, uLongf *length)
{
	char *text = NULL;
	size_t text_length = 0;
	FILE *memory = open_memstream(&text, &text_length);
	uint8_t *bytes = NULL;
	int status = -1;

	if (memory == NULL)
		return NULL;
	if (json_dumpf(data, memory, JSON_COMPACT) == 0)
		status = 0;
	if (fclose(memory) != 0)
		status = -1;
	*length = compressBound(text_length);
	if (status == 0)
		bytes = malloc(*length);
	if (bytes != NULL && compress2(bytes, length, (const Bytef *)text, text_length,
	                               Z_DEFAULT_COMPRESSION) != Z_OK) {
		free(bytes);
		bytes = NULL;
	}
	free(text);
	return bytes;
}

static int put_data(FILE *out, const struct report_page *page)
{
	json_t *data = data_json(page);
	uLongf length = 0;
	uint8_t *bytes = data != NULL ? compress_json(data, &length) : NULL;

	json_decref(data);
	if (bytes == NULL)
		return -ENOMEM;
	put_base64(out, bytes, length);
	free(bytes);
	return 0;
}

static int put_part(FILE *out, const char *name, size_t length, const struct report_page *page)
{
	for (const struct page_part *part = report_page_parts; part->name != NULL; part++)
		if (strlen(part->name) == length && memcmp(part->name, name, length) == 0) {
			fwrite(part->begin, 1, (size_t)(part->end - part->begin), out);
			return 0;
		}
	return put_data(out, page);
}

/* Copies page.html, with a part in place of each "<!-- name -->". */
int report_page_write(FILE *out, const struct report_page *page)
{
	static const char open[] = "<!-- ", close[] = " -->";
	const char *at = report_page_html, *mark;
	int error = 0;

	while (error == 0 && (mark = strstr(at, open)) != NULL) {
		const char *name = mark + strlen(open);
		const char *end = strstr(name, close);

		fwrite(at, 1, (size_t)(mark - at), out);
		error = put_part(out, name, (size_t)(end - name), page);
		at = end + strlen(close);
	}
	fputs(at, out);
	return error;
}
