/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char get_again[] = "fetch or write the file again";

int input_complain(const struct input *input, uint64_t offset, const char *text, const char *remedy)
{
	return complain(EXIT_BAD_INPUT, "%s: byte %" PRIu64 "%s: %s; %s", input->path, offset,
	                input->was_gzip ? " of the uncompressed data" : "", text, remedy);
}

/* Appends what read() gives until the end of the file. 0, or a negative errno. */
static int read_all(struct input *input, int file)
{
	size_t room = 0;

	for (;;) {
		ssize_t count;

		if (input->length == room) {
			uint8_t *larger;

			room = room == 0 ? 65536 : room * 2;
			larger = realloc(input->bytes, room);
			if (larger == NULL)
				return -ENOMEM;
			input->bytes = larger;
		}
		progress_wait(input->path, 0);
		count = read(file, input->bytes + input->length, room - input->length);
		if (count == 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0)
			input->length += (size_t)count;
		if (input->length > PPROF_BYTES_MAX)
			return -EFBIG;
	}
}

static int read_file(struct input *input)
{
	bool is_stdin = strcmp(input->path, "-") == 0;
	int file = is_stdin ? STDIN_FILENO : open(input->path, O_RDONLY | O_CLOEXEC);
	int status;

	if (file < 0)
		return complain(EXIT_SYSTEM, "%s: %s", input->path, strerror(errno));
	status = read_all(input, file);
	if (!is_stdin)
		close(file);
	if (status == -EFBIG)
		return input_complain(input, PPROF_BYTES_MAX, "goes on past the limit of 256 MiB",
		                      "split the dump, or profile a shorter time");
	if (status != 0)
		return complain(EXIT_SYSTEM, "%s: %s", input->path, strerror(-status));
	return EXIT_DONE;
}

static int uncompress(struct input *input)
{
	struct pprof_error error;
	uint8_t *bytes;
	size_t length;
	int status;

	if (!rpcprof_pprof_is_gzip(input->bytes, input->length))
		return EXIT_DONE;
	if (input->length > PPROF_FILE_BYTES_MAX)
		return input_complain(input, PPROF_FILE_BYTES_MAX,
		                      "gzip data past the limit of 64 MiB",
		                      "merge fewer files, or profile a shorter time");
	status = rpcprof_pprof_gunzip(input->bytes, input->length, PPROF_BYTES_MAX, &bytes, &length,
	                              &error);
	if (status == -ENOMEM)
		return complain(EXIT_SYSTEM, "%s: out of memory", input->path);
	if (status != 0)
		return input_complain(input, error.offset, error.text, get_again);
	free(input->bytes);
	input->bytes = bytes;
	input->length = length;
	input->was_gzip = true;
	return EXIT_DONE;
}

/* A profile cannot begin so: '{' would be a group, which its schema has not. */
static bool is_json(const struct input *input)
{
	size_t at = 0;

	while (at < input->length && isspace(input->bytes[at]))
		at++;
	return at < input->length && input->bytes[at] == '{';
}

static int decode_profile(struct input *input, const char *remedy)
{
	struct pprof_error error;
	int status;

	if (input->length == 0)
		return input_complain(input, 0, "empty", get_again);
	status = rpcprof_pprof_decode(input->bytes, input->length, PPROF_MEMORY_MAX,
	                              &input->profile, &error);
	if (status == -ENOMEM)
		return complain(EXIT_SYSTEM, "%s: out of memory", input->path);
	if (status != 0)
		return input_complain(input, error.offset, error.text, remedy);
	free(input->bytes);
	input->bytes = NULL;
	return EXIT_DONE;
}

int input_open(struct input *input, const char *path)
{
	int status;

	*input = (struct input){.path = path};
	status = read_file(input);
	if (status == EXIT_DONE)
		status = uncompress(input);
	if (status == EXIT_DONE)
		input->is_proto = input_is_proto(input);
	if (status == EXIT_DONE && !input->is_proto && !is_json(input))
		status = decode_profile(input, "give a pprof profile, or a saved dump of rpcprof");
	if (status != EXIT_DONE)
		input_close(input);
	return status;
}

int input_of_bytes(struct input *input, const char *path, const uint8_t *bytes, size_t length,
                   const char *remedy)
{
	int status;

	*input = (struct input){.path = path, .bytes = malloc(length + 1), .length = length};
	if (input->bytes == NULL)
		return complain(EXIT_SYSTEM, "%s: out of memory", path);
	if (length != 0)
		memcpy(input->bytes, bytes, length);
	status = uncompress(input);
	if (status == EXIT_DONE)
		status = decode_profile(input, remedy);
	if (status != EXIT_DONE)
		input_close(input);
	return status;
}

void input_close(struct input *input)
{
	free(input->bytes);
	rpcprof_pprof_close(input->profile);
	*input = (struct input){.path = input->path};
}
