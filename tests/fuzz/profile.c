/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles of strangers: what the reader lets in, the writer writes, and reads back the same;
 * merging it into nothing loses nothing; the command sums it up.
 */
#include "tests/fuzz/fuzz_internal.h"

#include <errno.h>

#include "cli/rows_internal.h"
#include "export/pprof_read_internal.h"

#define MEMORY_MAX ((size_t)32 << 20)

static struct rpcprof_pprof *decode(const uint8_t *bytes, size_t length)
{
	struct pprof_error error = {0};
	struct rpcprof_pprof *model = NULL;
	int status = rpcprof_pprof_decode(bytes, length, MEMORY_MAX, &model, &error);

	if (status == 0)
		return model;
	must(status == -EINVAL || status == -EFBIG);
	must(error.offset <= length);
	must(error.text[0] != '\0');
	return NULL;
}

/* Written and uncompressed. */
static uint8_t *encode(struct rpcprof_pprof *model, size_t *length)
{
	struct pprof_error error;
	uint8_t *gzip, *bytes;
	size_t gzip_length;

	must(rpcprof_pprof_encode(model, &gzip, &gzip_length) == 0);
	must(rpcprof_pprof_gunzip(gzip, gzip_length, PPROF_BYTES_MAX, &bytes, length, &error) == 0);
	free(gzip);
	return bytes;
}

static uint64_t sum(const struct rpcprof_pprof *model)
{
	uint64_t total = 0; /* of 64 bits, as the values may be anything */

	for (size_t i = 0; i < model->values_count; i++)
		total += (uint64_t)model->values[i];
	return total;
}

static void write_and_read(struct rpcprof_pprof *model)
{
	struct rpcprof_pprof *back;
	uint8_t *first, *second;
	size_t first_length, second_length;

	first = encode(model, &first_length);
	back = decode(first, first_length);
	must(back != NULL);
	must(back->samples_count == model->samples_count && sum(back) == sum(model));
	second = encode(back, &second_length);
	must(second_length == first_length && memcmp(first, second, first_length) == 0);
	free(first);
	free(second);
	rpcprof_pprof_close(back);
}

static void merge(const struct rpcprof_pprof *model)
{
	struct rpcprof_pprof *into = rpcprof_pprof_model_open(MEMORY_MAX);
	struct pprof_error error = {0};
	int status;

	must(into != NULL);
	status = rpcprof_pprof_merge(into, model, false, &error);
	must(status == 0 || status == -EOVERFLOW || status == -EFBIG);
	if (status == 0) {
		must(sum(into) == sum(model));
		rpcprof_pprof_drop_zero_samples(into);
		must(sum(into) == sum(model));
	}
	if (status == 0 && rpcprof_pprof_merge(into, model, true, &error) == 0)
		must(sum(into) == 0);
	rpcprof_pprof_close(into);
}

static void sum_up(struct rpcprof_pprof *model)
{
	struct input input = {.path = "profile", .profile = model};
	struct rows rows = {0};
	int status = rows_add_profile(&rows, &input, 0);

	must(status == EXIT_DONE || status == EXIT_BAD_INPUT);
	rows_close(&rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct rpcprof_pprof *model = decode(bytes, length);

	if (model == NULL)
		return 0;
	write_and_read(model);
	merge(model);
	sum_up(model);
	rpcprof_pprof_close(model);
	return 0;
}
