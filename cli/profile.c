/* SPDX-License-Identifier: Apache-2.0 */
/* A profile of what a running process does from now on. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/remote_internal.h"
#include "rpcprof/v1/profiling.pb-c.h"

struct arguments {
	struct remote remote;
	const char *output, *side;
	uint64_t duration_ns;
	/* The answer. */
	uint8_t *bytes;
	size_t length;
	uint64_t unaggregated;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->remote;
		return 0;
	case 'o':
		arguments->output = argument;
		return 0;
	case 's':
		arguments->duration_ns = parse_count(state, "--seconds", argument) * 1000000000u;
		return 0;
	case 'S':
		arguments->side = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->output == NULL)
			argp_error(state, "-o OUT says where the profile goes");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int take_piece(struct arguments *arguments, const Rpcprof__V1__ProfileResponse *piece)
{
	uint8_t *larger = NULL;

	if (arguments->length + piece->pprof.len <= PPROF_FILE_BYTES_MAX)
		larger = realloc(arguments->bytes, arguments->length + piece->pprof.len + 1);
	if (larger == NULL)
		return complain(EXIT_SYSTEM, "%s: a profile larger than memory",
		                arguments->remote.address);
	arguments->bytes = larger;
	if (piece->pprof.len != 0)
		memcpy(larger + arguments->length, piece->pprof.data, piece->pprof.len);
	arguments->length += piece->pprof.len;
	arguments->unaggregated += piece->unaggregated;
	return EXIT_DONE;
}

static int take(void *arg, const uint8_t *bytes, size_t length)
{
	struct arguments *arguments = arg;
	Rpcprof__V1__ProfileResponse *piece =
		rpcprof__v1__profile_response__unpack(NULL, length, bytes);
	int status;

	if (piece == NULL)
		return complain(EXIT_REMOTE, "%s: an answer that is none", arguments->remote.address);
	status = take_piece(arguments, piece);
	rpcprof__v1__profile_response__free_unpacked(piece, NULL);
	return status;
}

static bool is_of_side(const struct rpcprof_pprof *profile, const struct pprof_sample *sample,
                       const char *side)
{
	for (uint32_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &profile->labels[sample->labels + i];

		if (strcmp(rpcprof_pprof_text(profile, label->key), "side") == 0)
			return strcmp(rpcprof_pprof_text(profile, label->str), side) == 0;
	}
	return false;
}

/* Leaves only the samples of one side. */
static int keep_side(struct arguments *arguments)
{
	struct rpcprof_pprof *profile = NULL;
	struct pprof_error error;
	uint8_t *plain = NULL, *bytes = NULL;
	size_t length;
	int failed = rpcprof_pprof_gunzip(arguments->bytes, arguments->length, PPROF_BYTES_MAX,
	                                  &plain, &length, &error);

	if (failed == 0)
		failed = rpcprof_pprof_decode(plain, length, PPROF_MEMORY_MAX, &profile, &error);
	for (size_t i = 0; failed == 0 && i < profile->samples_count; i++)
		if (!is_of_side(profile, &profile->samples[i], arguments->side))
			memset(&profile->values[i * profile->types_count], 0,
			       profile->types_count * sizeof(int64_t));
	if (failed == 0) {
		rpcprof_pprof_drop_zero_samples(profile);
		failed = rpcprof_pprof_encode(profile, &bytes, &length);
	}
	rpcprof_pprof_close(profile);
	free(plain);
	if (failed != 0)
		return complain(EXIT_REMOTE, "%s: its profile cannot be read",
		                arguments->remote.address);
	free(arguments->bytes);
	arguments->bytes = bytes;
	arguments->length = length;
	return EXIT_DONE;
}

static int save(struct arguments *arguments)
{
	int status;

	if (arguments->length == 0)
		return complain(EXIT_REMOTE, "%s: no call in that time; nothing was written",
		                arguments->remote.address);
	status = arguments->side != NULL ? keep_side(arguments) : EXIT_DONE;
	if (status == EXIT_DONE)
		status = write_file(arguments->output, arguments->bytes, arguments->length);
	if (status == EXIT_DONE && arguments->unaggregated != 0)
		complain(EXIT_DONE, "%s: %" PRIu64 " calls more ended in that time than the ring "
		         "could hold for the profile; a larger capacity keeps them",
		         arguments->remote.address, arguments->unaggregated);
	return status;
}

int command_profile(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"output", 'o', "OUT", 0, "Where the profile goes, whole or not at all; - is stdout", 0},
		{"seconds", 's', "N", 0, "For how long (10)", 0},
		{"side", 'S', "SIDE", 0, "Only calls of this side: server or client", 0},
		{0},
	};
	static const struct argp_child children[] = {{&remote_argp, 0, "Which process:", 1}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.doc = "Writes a pprof profile of what a running process does in the next seconds. "
		       "It has to be recording: `rpcprof enable'.",
	};
	Rpcprof__V1__ProfileRequest request = RPCPROF__V1__PROFILE_REQUEST__INIT;
	struct arguments arguments = {.duration_ns = 10000000000u};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	request.duration_ns = arguments.duration_ns;
	status = remote_ask(&arguments.remote, "Profile", &request.base, request.duration_ns, take,
	                    &arguments);
	if (status == EXIT_DONE)
		status = save(&arguments);
	free(arguments.bytes);
	return status;
}
