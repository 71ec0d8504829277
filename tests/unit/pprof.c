/* SPDX-License-Identifier: Apache-2.0 */
/* Long because it is one subject over one set of fixtures: the writer, the reader and what they refuse. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "export/pprof_read_internal.h"
#include "profile.pb-c.h"

static const struct rpcprof_pprof_type types[] = {
	{"calls", "count"}, {"stages", "count"}, {"wall", "nanoseconds"}};

static struct rpcprof_pprof *open_at(int64_t time_ns, const char *comment)
{
	struct rpcprof_pprof_info info = {.types = types,
	                                  .type_count = 3,
	                                  .period_type = {"wall", "nanoseconds"},
	                                  .period = 1,
	                                  .time_ns = time_ns,
	                                  .duration_ns = 1000,
	                                  .mapping_file = "/bin/server",
	                                  .comments = &comment,
	                                  .comment_count = 1};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&info);

	cr_assert_not_null(pprof);
	return pprof;
}

/* A stack server;/a.B/C;`stage`, or without a stage, with the label tenant=x. */
static void add(struct rpcprof_pprof *pprof, const char *stage, int64_t calls, int64_t wall)
{
	int64_t values[] = {calls, stage != NULL, wall};
	uint64_t stack[3];
	size_t depth = 0;
	struct rpcprof_pprof_label label = {.key = rpcprof_pprof_string(pprof, "tenant"),
	                                    .str = rpcprof_pprof_string(pprof, "x")};

	if (stage != NULL)
		stack[depth++] = (uint64_t)rpcprof_pprof_location(pprof, stage, "/a.B/C");
	stack[depth++] = (uint64_t)rpcprof_pprof_location(pprof, "/a.B/C", "/a.B/C");
	stack[depth++] = (uint64_t)rpcprof_pprof_location(pprof, "server", "");
	cr_assert_eq(rpcprof_pprof_add(pprof, stack, depth, values, &label, 1), 0);
}

static uint8_t *encode(struct rpcprof_pprof *pprof, size_t *length)
{
	uint8_t *bytes;

	cr_assert_eq(rpcprof_pprof_encode(pprof, &bytes, length), 0);
	return bytes;
}

/* The uncompressed bytes of a small profile. */
static uint8_t *plain_profile(size_t *length)
{
	struct rpcprof_pprof *pprof = open_at(7, "made by a test");
	struct pprof_error error;
	uint8_t *gzip, *plain;
	size_t gzip_length;

	add(pprof, NULL, 5, 1000);
	add(pprof, "/decode", 0, 300);
	gzip = encode(pprof, &gzip_length);
	cr_assert_eq(rpcprof_pprof_gunzip(gzip, gzip_length, 1 << 20, &plain, length, &error), 0);
	free(gzip);
	rpcprof_pprof_close(pprof);
	return plain;
}

static struct rpcprof_pprof *decode_gzip(const uint8_t *gzip, size_t length)
{
	struct pprof_error error = {0};
	struct rpcprof_pprof *model = NULL;
	uint8_t *plain;
	size_t plain_length;

	cr_assert_eq(rpcprof_pprof_gunzip(gzip, length, 1 << 24, &plain, &plain_length, &error), 0,
	             "%s", error.text);
	cr_assert_eq(rpcprof_pprof_decode(plain, plain_length, 0, &model, &error), 0, "%s",
	             error.text);
	free(plain);
	return model;
}

/* Encodes, closes, and reads back. */
static struct rpcprof_pprof *reread(struct rpcprof_pprof *pprof)
{
	struct rpcprof_pprof *model;
	size_t length;
	uint8_t *bytes = encode(pprof, &length);

	rpcprof_pprof_close(pprof);
	model = decode_gzip(bytes, length);
	free(bytes);
	return model;
}

static const char *frame_name(const struct rpcprof_pprof *model, size_t sample, size_t frame)
{
	uint64_t id = model->frames[model->samples[sample].frames + frame];
	const struct pprof_line *line = &model->lines[model->locations[id - 1].lines];

	return rpcprof_pprof_text(model, rpcprof_pprof_line_function(model, line)->name);
}

Test(pprof, what_was_written_is_read_back)
{
	struct rpcprof_pprof *model = open_at(7, "made by a test");
	const struct pprof_label *label;

	add(model, NULL, 5, 1000);
	add(model, "/decode", 0, 300);
	model = reread(model);
	cr_assert_eq(model->types_count, 3);
	cr_assert_str_eq(rpcprof_pprof_text(model, model->types[2].type), "wall");
	cr_assert_str_eq(rpcprof_pprof_text(model, model->types[2].unit), "nanoseconds");
	cr_assert_eq(model->time_ns, 7);
	cr_assert_eq(model->duration_ns, 1000);
	cr_assert_eq(model->period, 1);
	cr_assert_str_eq(rpcprof_pprof_text(model, model->comments[0]), "made by a test");
	cr_assert_eq(model->samples_count, 2);
	cr_assert_eq(rpcprof_pprof_values(model, 0)[0], 5);
	cr_assert_eq(rpcprof_pprof_values(model, 0)[2], 1000);
	cr_assert_eq(model->samples[1].depth, 3);
	cr_assert_str_eq(frame_name(model, 1, 0), "/decode");
	cr_assert_str_eq(frame_name(model, 1, 2), "server");
	label = &model->labels[model->samples[1].labels];
	cr_assert_str_eq(rpcprof_pprof_text(model, label->key), "tenant");
	cr_assert_str_eq(rpcprof_pprof_text(model, label->str), "x");
	rpcprof_pprof_close(model);
}

Test(pprof, more_samples_than_a_chunk_keep_their_order_and_labels)
{
	struct rpcprof_pprof *model = open_at(0, "");

	for (int i = 0; i < 1000; i++)
		add(model, i % 2 ? "/decode" : NULL, i, 2 * i + 1);
	model = reread(model);
	cr_assert_eq(model->samples_count, 1000);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(rpcprof_pprof_values(model, (size_t)i)[2], 2 * i + 1);
		cr_assert_eq(model->samples[i].label_count, 1);
	}
	rpcprof_pprof_close(model);
}

Test(pprof, functions_have_no_system_name_so_that_names_are_shown_verbatim)
{
	struct rpcprof_pprof *model = open_at(0, "");

	add(model, "transport<h2>::flush(int)", 0, 1);
	model = reread(model);
	for (size_t i = 0; i < model->functions_count; i++)
		cr_assert_eq(model->functions[i].system_name, 0);
	rpcprof_pprof_close(model);
}

Test(pprof, the_mapping_says_that_nothing_is_left_to_symbolize)
{
	struct rpcprof_pprof *model = open_at(0, "");

	add(model, NULL, 1, 1);
	model = reread(model);
	cr_assert_eq(model->mappings_count, 1);
	cr_assert(model->mappings[0].has_functions && model->mappings[0].has_filenames &&
	          model->mappings[0].has_line_numbers && model->mappings[0].has_inline_frames);
	cr_assert_str_eq(rpcprof_pprof_text(model, model->mappings[0].file), "/bin/server");
	rpcprof_pprof_close(model);
}

Test(pprof, equal_strings_and_locations_have_one_id)
{
	struct rpcprof_pprof *pprof = open_at(0, "");
	int64_t location = rpcprof_pprof_location(pprof, "/x", "f");

	cr_assert_eq(rpcprof_pprof_string(pprof, ""), 0);
	cr_assert_eq(rpcprof_pprof_string(pprof, "a"), rpcprof_pprof_string(pprof, "a"));
	cr_assert_neq(rpcprof_pprof_string(pprof, "a"), rpcprof_pprof_string(pprof, "ab"));
	cr_assert_eq(rpcprof_pprof_location(pprof, "/x", "f"), location);
	cr_assert_eq(rpcprof_pprof_location(pprof, "/x", "g"), location + 1);
	rpcprof_pprof_close(pprof);
}

Test(pprof, invalid_utf8_is_replaced)
{
	static const char *const cases[][2] = {
		{"a\xff"
	         "b",
	         "a\xef\xbf\xbd"
	         "b"},
		{"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* the same in three */
		{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong "/" */
		{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
		{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* cut off */
		{"\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80"}, /* valid */
	};
	struct rpcprof_pprof *pprof = open_at(0, "");

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t id = rpcprof_pprof_string(pprof, cases[i][0]);

		cr_assert_str_eq(rpcprof_pprof_text(pprof, (uint32_t)id), cases[i][1]);
	}
	rpcprof_pprof_close(pprof);
}

/* A decode that fails says where and why; one that succeeds gives a profile that can be written. */
static void decode_anything(const uint8_t *bytes, size_t length)
{
	struct pprof_error error = {.offset = UINT64_MAX};
	struct rpcprof_pprof *model = NULL;
	uint8_t *again;
	size_t again_length;
	int status = rpcprof_pprof_decode(bytes, length, 1 << 24, &model, &error);

	if (status == 0) {
		cr_assert_eq(rpcprof_pprof_encode(model, &again, &again_length), 0);
		rpcprof_pprof_close(decode_gzip(again, again_length));
		free(again);
		rpcprof_pprof_close(model);
	} else {
		cr_assert(status == -EINVAL || status == -EFBIG, "%d", status);
		cr_assert_leq(error.offset, length);
		cr_assert_gt(strlen(error.text), 5);
		cr_assert_null(model);
	}
}

/* The copy lies at the end of its memory, so that reading past it is noticed. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length + (length == 0));

	memcpy(copy, bytes, length);
	return copy;
}

Test(pprof, a_profile_cut_off_anywhere_is_refused_or_whole)
{
	size_t length;
	uint8_t *plain = plain_profile(&length);

	for (size_t cut = 0; cut < length; cut++) {
		uint8_t *copy = exact_copy(plain, cut);

		decode_anything(copy, cut);
		free(copy);
	}
	free(plain);
}

Test(pprof, a_string_cut_off_is_called_truncated_where_it_begins)
{
	struct pprof_error error;
	struct rpcprof_pprof *model;
	static const uint8_t cut[] = {0x32, 0, 0x32, 3, 'a', 'b'}; /* fields 6: "", "ab?" */
	uint8_t *copy = exact_copy(cut, sizeof(cut));

	cr_assert_eq(rpcprof_pprof_decode(copy, sizeof(cut), 0, &model, &error), -EINVAL);
	cr_assert_eq(error.offset, 2);
	cr_assert_not_null(strstr(error.text, "truncated"), "%s", error.text);
	cr_assert_not_null(strstr(error.text, "of 3 bytes, 2 left"), "%s", error.text);
	free(copy);
}

Test(pprof, gzip_data_cut_off_anywhere_is_refused_where_it_ends)
{
	struct rpcprof_pprof *pprof = open_at(0, "");
	struct pprof_error error;
	size_t length, out_length;
	uint8_t *bytes, *out;

	add(pprof, "/decode", 1, 2);
	bytes = encode(pprof, &length);
	for (size_t cut = 2; cut < length; cut++) {
		uint8_t *copy = exact_copy(bytes, cut);

		cr_assert_eq(rpcprof_pprof_gunzip(copy, cut, 1 << 20, &out, &out_length, &error),
		             -EINVAL);
		cr_assert_eq(error.offset, cut);
		cr_assert_not_null(strstr(error.text, "truncated"));
		free(copy);
	}
	free(bytes);
	rpcprof_pprof_close(pprof);
}

Test(pprof, flipped_bits_never_do_harm)
{
	size_t length;
	uint8_t *plain = plain_profile(&length);

	srand(1);
	for (int i = 0; i < 5000; i++) {
		uint8_t *copy = exact_copy(plain, length);

		for (int flips = 1 + rand() % 4; flips > 0; flips--)
			copy[(size_t)rand() % length] ^= (uint8_t)(1 << rand() % 8);
		decode_anything(copy, length);
		free(copy);
	}
	free(plain);
}

/* But for those between the last code and the next whole byte, which mean nothing. */
Test(pprof, flipped_bits_in_gzip_data_are_noticed)
{
	struct rpcprof_pprof *pprof = open_at(0, "");
	struct pprof_error error;
	size_t length, plain_length, out_length;
	uint8_t *bytes, *plain, *out;

	add(pprof, "/decode", 1, 2);
	bytes = encode(pprof, &length);
	cr_assert_eq(rpcprof_pprof_gunzip(bytes, length, 1 << 20, &plain, &plain_length, &error), 0);
	for (size_t bit = 10 * 8; bit < length * 8; bit++) { /* the header's bits are free */
		uint8_t *copy = exact_copy(bytes, length);

		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (rpcprof_pprof_gunzip(copy, length, 1 << 20, &out, &out_length, &error) == 0) {
			cr_assert_eq(bit / 8, length - 9, "bit %zu", bit);
			cr_assert_eq(out_length, plain_length);
			cr_assert_arr_eq(out, plain, plain_length);
			free(out);
		}
		free(copy);
	}
	free(plain);
	free(bytes);
	rpcprof_pprof_close(pprof);
}

static uint8_t *gzip_zeros(size_t count, size_t *length)
{
	z_stream stream = {0};
	uint8_t *zeros = calloc(count, 1), *out = malloc(count);

	cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	stream.next_in = zeros;
	stream.avail_in = (uInt)count;
	stream.next_out = out;
	stream.avail_out = (uInt)count;
	cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
	*length = stream.total_out;
	deflateEnd(&stream);
	free(zeros);
	return out;
}

Test(pprof, a_gzip_bomb_is_refused_at_the_limit)
{
	struct pprof_error error;
	size_t length, out_length;
	uint8_t *bomb = gzip_zeros(1 << 20, &length), *out = NULL;

	cr_assert_eq(rpcprof_pprof_gunzip(bomb, length, (1 << 20) - 1, &out, &out_length, &error),
	             -EFBIG);
	cr_assert_not_null(strstr(error.text, "1048575"), "%s", error.text);
	cr_assert_null(out);
	cr_assert_eq(rpcprof_pprof_gunzip(bomb, length, 1000, &out, &out_length, &error), -EFBIG);
	cr_assert_null(out);
	cr_assert_eq(rpcprof_pprof_gunzip(bomb, length, 1 << 20, &out, &out_length, &error), 0);
	cr_assert_eq(out_length, 1 << 20);
	free(out);
	free(bomb);
}

Test(pprof, gzip_members_laid_end_to_end_are_one_file)
{
	struct pprof_error error;
	size_t length, out_length;
	uint8_t *one = gzip_zeros(1000, &length), *two = malloc(2 * length + 1), *out;

	memcpy(two, one, length);
	memcpy(two + length, one, length);
	two[2 * length] = 'x';
	cr_assert_eq(rpcprof_pprof_gunzip(two, 2 * length, 4000, &out, &out_length, &error), 0);
	cr_assert_eq(out_length, 2000);
	free(out);
	cr_assert_eq(rpcprof_pprof_gunzip(two, 2 * length + 1, 4000, &out, &out_length, &error),
	             -EINVAL);
	cr_assert_eq(error.offset, 2 * length);
	free(one);
	free(two);
}

/* Decodes what protobuf-c packs of a message that is wrong in one place. */
static void refuse(const Perftools__Profiles__Profile *profile, const char *why)
{
	size_t length = perftools__profiles__profile__get_packed_size(profile);
	struct pprof_error error = {0};
	struct rpcprof_pprof *model;
	uint8_t *bytes = malloc(length);

	perftools__profiles__profile__pack(profile, bytes);
	cr_assert_eq(rpcprof_pprof_decode(bytes, length, 0, &model, &error), -EINVAL);
	cr_assert_not_null(strstr(error.text, why), "\"%s\"", error.text);
	cr_assert_leq(error.offset, length);
	free(bytes);
}

/* The least that is a profile, to be spoiled. */
struct small {
	Perftools__Profiles__Profile profile;
	Perftools__Profiles__ValueType type, *type_pointer;
	Perftools__Profiles__Sample sample, *sample_pointer;
	Perftools__Profiles__Location location, *location_pointer[2];
	Perftools__Profiles__Function function, *function_pointer;
	Perftools__Profiles__Line line, *line_pointer;
	char *texts[3];
	uint64_t frame;
	int64_t values[2];
};

static void make_small(struct small *small)
{
	perftools__profiles__profile__init(&small->profile);
	perftools__profiles__value_type__init(&small->type);
	perftools__profiles__sample__init(&small->sample);
	perftools__profiles__location__init(&small->location);
	perftools__profiles__function__init(&small->function);
	perftools__profiles__line__init(&small->line);
	small->texts[0] = "";
	small->texts[1] = "wall";
	small->texts[2] = "ns";
	small->type.type = 1;
	small->type.unit = 2;
	small->type_pointer = &small->type;
	small->frame = 77; /* ids need not be 1..n */
	small->function.id = 99;
	small->function.name = 1;
	small->function_pointer = &small->function;
	small->line.function_id = 99;
	small->line_pointer = &small->line;
	small->location.id = 77;
	small->location.n_line = 1;
	small->location.line = &small->line_pointer;
	small->location_pointer[0] = small->location_pointer[1] = &small->location;
	small->values[0] = small->values[1] = 5;
	small->sample.n_location_id = small->sample.n_value = 1;
	small->sample.location_id = &small->frame;
	small->sample.value = small->values;
	small->sample_pointer = &small->sample;
	small->profile.n_sample_type = small->profile.n_sample = 1;
	small->profile.n_location = small->profile.n_function = 1;
	small->profile.n_string_table = 3;
	small->profile.sample_type = &small->type_pointer;
	small->profile.sample = &small->sample_pointer;
	small->profile.location = small->location_pointer;
	small->profile.function = &small->function_pointer;
	small->profile.string_table = small->texts;
}

Test(pprof, ids_may_be_any_numbers)
{
	struct small small;
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;
	uint8_t bytes[256];
	size_t length;

	make_small(&small);
	length = perftools__profiles__profile__pack(&small.profile, bytes);
	cr_assert_eq(rpcprof_pprof_decode(bytes, length, 0, &model, &error), 0);
	cr_assert_eq(model->frames[0], 1);
	cr_assert_str_eq(frame_name(model, 0, 0), "wall");
	rpcprof_pprof_close(model);
}

Test(pprof, references_to_what_is_not_there_are_refused)
{
	struct small small;

	make_small(&small);
	small.frame = 78;
	refuse(&small.profile, "location 78 does not exist");
	make_small(&small);
	small.line.function_id = 1;
	refuse(&small.profile, "function 1 does not exist");
	make_small(&small);
	small.location.mapping_id = 3;
	refuse(&small.profile, "mapping 3 does not exist");
	make_small(&small);
	small.function.name = 3;
	refuse(&small.profile, "string 3 of a table of 3");
	make_small(&small);
	small.function.name = -1;
	refuse(&small.profile, "string -1");
	make_small(&small);
	small.profile.default_sample_type = 1000;
	refuse(&small.profile, "string 1000");
}

Test(pprof, what_breaks_the_rules_is_refused)
{
	struct small small;

	make_small(&small);
	small.sample.n_value = 2;
	refuse(&small.profile, "a sample of 2 values in a profile of 1 types");
	make_small(&small);
	small.profile.n_location = 2;
	refuse(&small.profile, "location id 77 appears twice");
	make_small(&small);
	small.function.id = 0;
	refuse(&small.profile, "function id 0 is not allowed");
	make_small(&small);
	small.texts[0] = "x";
	refuse(&small.profile, "string 0 is not \"\"");
	make_small(&small);
	small.profile.n_sample_type = 0;
	refuse(&small.profile, "no sample type");
}

Test(pprof, memory_is_bounded_whatever_a_file_says)
{
	struct pprof_error error;
	struct rpcprof_pprof *model = NULL;
	size_t length;
	uint8_t *plain = plain_profile(&length);

	cr_assert_eq(rpcprof_pprof_decode(plain, length, 3000, &model, &error), -EFBIG);
	cr_assert_null(model);
	cr_assert_not_null(strstr(error.text, "3000 bytes of memory"), "%s", error.text);
	free(plain);
}

Test(pprof, merge_adds_equal_samples_and_keeps_others)
{
	struct rpcprof_pprof *a = open_at(50, "first"), *b = open_at(20, "second");
	struct rpcprof_pprof *into = rpcprof_pprof_model_open(0);
	struct pprof_error error;

	add(a, NULL, 1, 10);
	add(a, "/decode", 0, 3);
	add(b, "/encode", 0, 4); /* ids differ from a's */
	add(b, NULL, 2, 30);
	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, b, false, &error), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, b, false, &error), 0);
	rpcprof_pprof_close(a);
	rpcprof_pprof_close(b);
	into = reread(into);
	cr_assert_eq(into->samples_count, 3);
	cr_assert_eq(rpcprof_pprof_values(into, 0)[0], 5);
	cr_assert_eq(rpcprof_pprof_values(into, 0)[2], 70);
	cr_assert_eq(rpcprof_pprof_values(into, 1)[2], 3);
	cr_assert_eq(rpcprof_pprof_values(into, 2)[2], 8);
	cr_assert_str_eq(frame_name(into, 2, 0), "/encode");
	cr_assert_eq(into->time_ns, 20);
	cr_assert_eq(into->duration_ns, 3000);
	cr_assert_eq(into->comments_count, 2);
	cr_assert_eq(into->mappings_count, 1);
	rpcprof_pprof_close(into);
}

Test(pprof, merge_takes_only_equal_sample_types)
{
	struct rpcprof_pprof_info info = {
		.types = types, .type_count = 2, .period_type = {"wall", "nanoseconds"}};
	struct rpcprof_pprof *a = open_at(0, ""), *b = rpcprof_pprof_open(&info);
	struct rpcprof_pprof *into = rpcprof_pprof_model_open(0);
	struct pprof_error error;

	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, b, false, &error), -EINVAL);
	cr_assert_not_null(strstr(error.text, "sample types"));
	rpcprof_pprof_close(a);
	rpcprof_pprof_close(b);
	rpcprof_pprof_close(into);
}

Test(pprof, merge_refuses_to_overflow)
{
	struct rpcprof_pprof *a = open_at(0, ""), *into = rpcprof_pprof_model_open(0);
	struct pprof_error error;

	add(a, NULL, 1, INT64_MAX);
	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), -EOVERFLOW);
	rpcprof_pprof_close(a);
	rpcprof_pprof_close(into);
}

Test(pprof, the_base_of_a_diff_is_negative_and_labelled)
{
	struct rpcprof_pprof *a = open_at(0, ""), *into = rpcprof_pprof_model_open(0);
	struct pprof_error error;
	bool found = false;

	add(a, NULL, 1, 10);
	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, a, true, &error), 0);
	cr_assert_eq(into->samples_count, 2);
	cr_assert_eq(rpcprof_pprof_values(into, 1)[2], -10);
	for (uint32_t i = 0; i < into->samples[1].label_count; i++) {
		const struct pprof_label *label = &into->labels[into->samples[1].labels + i];

		found = found || (strcmp(rpcprof_pprof_text(into, label->key), "pprof::base") == 0 &&
		                  strcmp(rpcprof_pprof_text(into, label->str), "true") == 0);
	}
	cr_assert(found);
	rpcprof_pprof_close(a);
	rpcprof_pprof_close(into);
}

Test(pprof, a_sample_may_have_no_stack_and_no_labels)
{
	struct rpcprof_pprof *a = open_at(0, ""), *into = rpcprof_pprof_model_open(0);
	int64_t values[] = {1, 2, 3};
	struct pprof_error error;

	cr_assert_eq(rpcprof_pprof_add(a, NULL, 0, values, NULL, 0), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), 0);
	cr_assert_eq(rpcprof_pprof_merge(into, a, false, &error), 0);
	into = reread(into);
	cr_assert_eq(into->samples_count, 1);
	cr_assert_eq(rpcprof_pprof_values(into, 0)[2], 6);
	rpcprof_pprof_close(a);
	rpcprof_pprof_close(into);
}

Test(pprof, samples_of_nothing_are_dropped)
{
	struct rpcprof_pprof *a = open_at(0, "");

	add(a, NULL, 0, 0);
	add(a, NULL, 3, 4);
	add(a, NULL, 0, 0);
	rpcprof_pprof_drop_zero_samples(a);
	cr_assert_eq(a->samples_count, 1);
	cr_assert_eq(rpcprof_pprof_values(a, 0)[0], 3);
	rpcprof_pprof_close(a);
}

Test(pprof, a_mapping_loaded_elsewhere_is_the_same)
{
	struct rpcprof_pprof *models[2], *into = rpcprof_pprof_model_open(0);
	struct pprof_error error;

	for (int i = 0; i < 2; i++) {
		struct pprof_mapping mapping = {.start = i == 0 ? 0x1000 : 0x9000,
		                                .limit = i == 0 ? 0x2000 : 0xa000};
		struct pprof_location location = {.mapping = 2, .address = mapping.start + 0x10};
		int64_t values[3] = {1, 1, 1};
		uint64_t id;

		models[i] = open_at(0, "");
		mapping.file = (uint32_t)rpcprof_pprof_string(models[i], "/lib/libx.so");
		cr_assert_eq(rpcprof_pprof_intern_mapping(models[i], &mapping), 2);
		id = (uint64_t)rpcprof_pprof_intern_location(models[i], &location, NULL);
		cr_assert_eq(rpcprof_pprof_add(models[i], &id, 1, values, NULL, 0), 0);
		cr_assert_eq(rpcprof_pprof_merge(into, models[i], false, &error), 0);
		rpcprof_pprof_close(models[i]);
	}
	cr_assert_eq(into->samples_count, 1);
	cr_assert_eq(into->locations_count, 1);
	cr_assert_eq(into->locations[0].address, 0x1010);
	cr_assert_eq(rpcprof_pprof_values(into, 0)[0], 2);
	rpcprof_pprof_close(into);
}
