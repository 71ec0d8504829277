/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input_internal.h"

#include "export/dump_proto_internal.h"

/* What a stream may have at most; 2 bytes make some 250 of memory. */
#define MESSAGE_BYTES_MAX ((size_t)1 << 20)

static const char save_again[] = "save the snapshot again";

struct walk {
	const struct input *input;
	struct dump_receiver *receiver;
	size_t at; /* of the message at hand */
	bool ended;
	struct dump_stage stages[DUMP_STAGES_MAX];
};

/* The varint at `at`: its bytes, 0 if it is cut off or of more than 28 bits. */
static size_t get_length(const struct input *input, size_t at, size_t *length)
{
	*length = 0;
	for (size_t i = 0; i < 4 && at + i < input->length; i++) {
		*length |= (size_t)(input->bytes[at + i] & 0x7f) << 7 * i;
		if (input->bytes[at + i] < 0x80)
			return i + 1;
	}
	return 0;
}

/* A profile's first message is two numbers: it cannot be the header that a dump begins with. */
bool input_is_proto(const struct input *input)
{
	size_t length, used = get_length(input, 0, &length);
	Rpcprof__V1__Dump *first;
	bool is_dump;

	if (used == 0 || length == 0 || length > input->length - used || length > MESSAGE_BYTES_MAX)
		return false;
	if (input->bytes[used] != 0x0a) /* the tag of "header" */
		return false;
	first = rpcprof__v1__dump__unpack(NULL, length, input->bytes + used);
	is_dump = first != NULL && first->header != NULL && first->header->clock != NULL;
	if (first != NULL)
		rpcprof__v1__dump__free_unpacked(first, NULL);
	return is_dump;
}

static int give_stat(struct walk *walk, const Rpcprof__V1__Stat *stat)
{
	struct dump_call call;
	const char *error;

	if (rpcprof_dump_read_stat(stat, &call, walk->stages, &error) != 0)
		return input_complain(walk->input, walk->at, error, save_again);
	return walk->receiver->call(walk->receiver->arg, &call);
}

static int give_message(struct walk *walk, const Rpcprof__V1__Dump *message)
{
	struct dump_header header;
	int status = EXIT_DONE;

	if (walk->ended && message->header == NULL)
		return input_complain(walk->input, walk->at, "goes on after its end", save_again);
	walk->ended = false;
	if (walk->at == 0 && walk->receiver->header != NULL) {
		rpcprof_dump_read_header(message->header, &header);
		status = walk->receiver->header(walk->receiver->arg, &header);
	}
	for (size_t i = 0; status == EXIT_DONE && i < message->n_stats; i++)
		status = give_stat(walk, message->stats[i]);
	if (message->end != NULL) {
		walk->receiver->torn = message->end->torn;
		walk->ended = true;
	}
	return status;
}

static int walk_message(struct walk *walk, const uint8_t *bytes, size_t length)
{
	Rpcprof__V1__Dump *message = rpcprof__v1__dump__unpack(NULL, length, bytes);
	int status;

	if (message == NULL)
		return input_complain(walk->input, walk->at, "not a message rpcprof.v1.Dump",
		                      save_again);
	status = give_message(walk, message);
	rpcprof__v1__dump__free_unpacked(message, NULL);
	return status;
}

int input_each_proto(const struct input *input, struct dump_receiver *receiver)
{
	struct walk walk = {.input = input, .receiver = receiver};
	int status = EXIT_DONE;

	while (status == EXIT_DONE && walk.at < input->length) {
		size_t length, used = get_length(input, walk.at, &length);

		progress(input->path, walk.at, input->length);
		if (used == 0 || length > MESSAGE_BYTES_MAX)
			return input_complain(input, walk.at, "not the length of a message of at "
			                                      "most 1 MiB", save_again);
		if (length > input->length - walk.at - used)
			return input_complain(input, input->length,
			                      "truncated: the last message is not whole",
			                      save_again);
		status = walk_message(&walk, input->bytes + walk.at + used, length);
		if (status == EXIT_DONE)
			walk.at += used + length;
	}
	if (status == EXIT_DONE && !walk.ended)
		status = input_complain(input, input->length,
		                        "truncated: the last message is not the dump's end",
		                        save_again);
	return status;
}
