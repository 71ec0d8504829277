/* SPDX-License-Identifier: Apache-2.0 */
#include "export/gperftools_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/pprof_model_internal.h"

#define MAPPINGS_MAX 1024

/* Of libstdc++, which gperftools brings along. */
extern char *demangle(const char *name, char *buffer, size_t *length, int *status)
	__asm__("__cxa_demangle") __attribute__((weak, visibility("default")));

/* A profile that is being made. Errors stick: the first is what counts. */
struct converter {
	struct rpcprof_pprof *pprof;
	size_t mapping_count;
	struct pprof_mapping mappings[MAPPINGS_MAX]; /* mapping i has the id i + 1 */
	int error;
};

static uint32_t keep(struct converter *converter, int64_t id)
{
	if (id < 0 && converter->error == 0)
		converter->error = (int)id;
	return id < 0 ? 0 : (uint32_t)id;
}

static uint32_t text(struct converter *converter, const char *string)
{
	return keep(converter, rpcprof_pprof_string(converter->pprof, string));
}

/* A line of /proc/self/maps; those that are not executable are of no use here. */
static void add_mapping(struct converter *converter, const char *line)
{
	struct pprof_mapping *mapping = &converter->mappings[converter->mapping_count];
	uint64_t begin, end, offset;
	char rights[5], path[4096] = "";

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %4095[^\n]", &begin,
	           &end, rights, &offset, path) < 4 ||
	    rights[2] != 'x' || converter->mapping_count == MAPPINGS_MAX)
		return;
	/* No flags: whoever has the program's file may look for better names and lines in it. */
	*mapping = (struct pprof_mapping){.start = begin, .limit = end, .file_offset = offset,
	                                  .file = text(converter, path)};
	if (keep(converter, rpcprof_pprof_intern_mapping(converter->pprof, mapping)) ==
	    converter->mapping_count + 1)
		converter->mapping_count++;
}

static void add_mappings(struct converter *converter)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char *line = NULL;
	size_t room = 0;

	while (maps != NULL && getline(&line, &room, maps) > 0)
		add_mapping(converter, line);
	free(line);
	if (maps != NULL)
		fclose(maps);
}

static uint32_t mapping_of(const struct converter *converter, uint64_t address)
{
	for (uint32_t i = 0; i < converter->mapping_count; i++)
		if (address >= converter->mappings[i].start &&
		    address < converter->mappings[i].limit)
			return i + 1;
	return 0;
}

static void name_demangled(struct converter *converter, struct pprof_function *function,
                           const char *symbol)
{
	char *plain = demangle != NULL ? demangle(symbol, NULL, NULL, NULL) : NULL;

	function->system_name = text(converter, symbol);
	function->name = plain != NULL ? text(converter, plain) : function->system_name;
	free(plain);
}

/* Some readers take no location without a function: what has no name is known by its place. */
static struct pprof_function function_of(struct converter *converter, uint64_t address)
{
	struct pprof_function function = {0};
	char place[300];
	const char *file, *slash;
	Dl_info info;

	if (dladdr((void *)(uintptr_t)address, &info) == 0) {
		snprintf(place, sizeof(place), "0x%" PRIx64, address);
		function.name = text(converter, place);
		return function;
	}
	file = info.dli_fname != NULL ? info.dli_fname : "";
	slash = strrchr(file, '/');
	function.file = text(converter, file);
	if (info.dli_sname != NULL) {
		name_demangled(converter, &function, info.dli_sname);
		return function;
	}
	snprintf(place, sizeof(place), "%.255s+0x%" PRIx64, slash != NULL ? slash + 1 : file,
	         address - (uint64_t)(uintptr_t)info.dli_fbase);
	function.name = text(converter, place);
	return function;
}

static uint64_t location_of(struct converter *converter, uint64_t address)
{
	struct pprof_function function = function_of(converter, address);
	struct pprof_line line = {
		.function = keep(converter,
	                         rpcprof_pprof_intern_function(converter->pprof, &function))};
	struct pprof_location location = {.address = address, .line_count = 1,
	                                  .mapping = mapping_of(converter, address)};

	return keep(converter, rpcprof_pprof_intern_location(converter->pprof, &location, &line));
}

/* All addresses but the leaf's are where a call returns to: the call is before. */
static void add_record(struct converter *converter, uint64_t period_ns, uintptr_t count,
                       const uintptr_t *addresses, size_t depth)
{
	const int64_t values[] = {(int64_t)count, (int64_t)(count * period_ns)};
	uint64_t locations[RPCPROF_GPERFTOOLS_DEPTH_MAX];

	for (size_t i = 0; i < depth; i++)
		locations[i] = location_of(converter, addresses[i] - (i > 0));
	if (converter->error == 0)
		converter->error = rpcprof_pprof_add(converter->pprof, locations, depth, values,
		                                     NULL, 0);
}

static int read_header(struct rpcprof_gperftools *state, const uintptr_t *words, size_t count,
                       size_t *used)
{
	*used = 0;
	if (state->period_us != 0)
		return 0;
	if (count < RPCPROF_GPERFTOOLS_HEADER)
		return -ENODATA;
	if (words[0] != 0 || words[1] != 3 || words[2] != 0 || words[3] == 0)
		return -EBADMSG;
	state->period_us = words[3];
	*used = RPCPROF_GPERFTOOLS_HEADER;
	return 0;
}

static int add_records(struct converter *converter, const struct rpcprof_gperftools *state,
                       const uintptr_t *words, size_t count, size_t *used)
{
	while (count - *used >= 2 && converter->error == 0) {
		const uintptr_t *record = words + *used;

		if (record[0] == 0)
			break; /* the end */
		if (record[1] == 0 || record[1] > RPCPROF_GPERFTOOLS_DEPTH_MAX)
			return -EBADMSG;
		if (count - *used - 2 < record[1])
			break; /* still being written */
		add_record(converter, state->period_us * 1000, record[0], record + 2, record[1]);
		*used += 2 + record[1];
	}
	return converter->error;
}

static struct rpcprof_pprof *open_pprof(const struct rpcprof_gperftools *state)
{
	static const struct rpcprof_pprof_type types[] = {{"samples", "count"},
	                                                  {"cpu", "nanoseconds"}};

	return rpcprof_pprof_open(&(struct rpcprof_pprof_info){
		.types = types, .type_count = 2, .period_type = types[1],
		.period = (int64_t)state->period_us * 1000, .time_ns = state->begin_ns,
		.duration_ns = state->end_ns - state->begin_ns, .no_mapping = true});
}

int rpcprof_gperftools_convert(struct rpcprof_gperftools *state, const uintptr_t *words,
                               size_t count, size_t *used, uint8_t **bytes, size_t *length)
{
	struct converter *converter;
	int error = read_header(state, words, count, used);

	if (error != 0)
		return error;
	converter = calloc(1, sizeof(*converter));
	if (converter == NULL)
		return -ENOMEM;
	converter->pprof = open_pprof(state);
	if (converter->pprof == NULL) {
		free(converter);
		return -ENOMEM;
	}
	add_mappings(converter);
	error = add_records(converter, state, words, count, used);
	if (error == 0 && converter->pprof->samples_count == 0)
		error = -ENODATA;
	if (error == 0)
		error = rpcprof_pprof_encode(converter->pprof, bytes, length);
	rpcprof_pprof_close(converter->pprof);
	free(converter);
	return error;
}
