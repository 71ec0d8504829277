/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any names, of any kind, into a table of any size: the same bytes give the same id, other bytes
 * another; an id gives back its name; a budget is never passed; what is not known is not found.
 */
#include "tests/fuzz/fuzz_internal.h"

#include "timers/tag_table_internal.h"

#define NAME_MAX_BYTES 1024
#define NAMES_MAX 255 /* what one byte can ask for */

struct known {
	char *name;
	uint32_t id;
};

static struct known known[NAMES_MAX];
static uint32_t known_count;
static void *memory;

/* What the table keeps of a name: to its first NUL, to its 1024th byte. */
static char *kept_of(const char *name, size_t bytes)
{
	char *kept = strndup(name, bytes < NAME_MAX_BYTES ? bytes : NAME_MAX_BYTES);

	must(kept != NULL);
	return kept;
}

static uint32_t expected(const char *kept)
{
	for (uint32_t i = 0; i < known_count; i++)
		if (strcmp(known[i].name, kept) == 0)
			return known[i].id;
	return 0;
}

static void check_name(const struct known *one)
{
	size_t bytes;

	must(strcmp(rpcprof_tag_name(one->id, &bytes), one->name) == 0);
	must(bytes == strlen(one->name));
	must(rpcprof_tag_find(one->name, (size_t)-1) == one->id);
}

static void remember(char *kept, uint32_t id)
{
	for (uint32_t i = 0; i < known_count; i++)
		must(known[i].id != id);
	must(known_count < NAMES_MAX);
	known[known_count] = (struct known){kept, id};
	check_name(&known[known_count++]);
}

static void intern(enum rpcprof_tag_kind kind, const char *name, size_t bytes)
{
	char *kept = kept_of(name, bytes);
	uint32_t before = kept[0] == '\0' ? 0 : expected(kept), id;

	must(rpcprof_tag_find(name, bytes) == before);
	id = rpcprof_tag_intern(kind, name, bytes);
	if (kept[0] == '\0')
		must(id == RPCPROF_TAG_NONE);
	else if (before != 0)
		must(id == before);
	else if (id != RPCPROF_TAG_OTHER && id != RPCPROF_TAG_NONE) {
		remember(kept, id);
		return;
	} else
		must(id == RPCPROF_TAG_OTHER && rpcprof_tag_find(name, bytes) == 0);
	free(kept);
}

static void check_totals(const struct rpcprof_tag_limits *limits)
{
	struct rpcprof_tag_totals totals;
	size_t bytes;

	rpcprof_tags_totals(&totals);
	must(totals.entries <= limits->entries);
	must(totals.bytes <= limits->bytes);
	must(rpcprof_tag_name(limits->entries + 1, &bytes)[0] == '\0' && bytes == 0);
}

/* A table of a size that the input says; false if there is none such. */
static int attach(struct taker *taker, struct rpcprof_tag_limits *limits)
{
	size_t bytes;

	*limits = (struct rpcprof_tag_limits){(uint32_t)take(taker, 1), (uint32_t)take(taker, 2),
		{0, (uint32_t)take(taker, 1), (uint32_t)take(taker, 1)}};
	bytes = rpcprof_tags_bytes(limits);
	if (bytes == 0)
		return 0;
	memory = aligned_alloc(128, bytes);
	must(memory != NULL);
	rpcprof_tags_attach(memset(memory, 0, bytes), limits);
	for (uint32_t id = 1; id <= RPCPROF_TAG_FIXED; id++)
		remember(kept_of(rpcprof_tag_name(id, NULL), (size_t)-1), id);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct taker taker = {bytes, length};
	struct rpcprof_tag_limits limits;

	if (!attach(&taker, &limits))
		return 0;
	while (taker.left > 0) {
		uint64_t head = take(&taker, 2); /* kind in 2 bits, 14 bits of length */
		size_t bytes_of_name = head >> 2 < taker.left ? head >> 2 : taker.left;
		uint8_t *name = copy_of(taker.bytes, bytes_of_name);

		if (head % 4 < RPCPROF_TAG_KINDS)
			intern(head % 4, (char *)name, bytes_of_name);
		else
			must(rpcprof_tag_intern(head % 4, (char *)name, bytes_of_name) == 0);
		free(name);
		taker.bytes += bytes_of_name;
		taker.left -= bytes_of_name;
	}
	for (uint32_t i = 0; i < known_count; i++) {
		check_name(&known[i]);
		free(known[i].name);
	}
	known_count = 0;
	check_totals(&limits);
	free(memory); /* of no use to the table until the next is attached */
	return 0;
}
