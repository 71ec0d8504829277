/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interning names: append-only, lock-free, in memory that may be mapped elsewhere.
 * tag_table_internal.h says what lies where.
 *
 * A name is added in four steps: reserve an id and words from the kind's budget (CAS), write the
 * record, claim the first empty bucket on the name's probe path (CAS, G1), make the entry ready
 * (G3). All who look for a name take the same path and buckets never empty, so two adders of one
 * name meet at one bucket: one CAS wins, and the loser takes the winner's id and gives its
 * reservation back if nobody reserved after it (else that much of the budget is lost).
 *
 * Invariants:
 *  - a claimed record never changes, but for marks, which are only ever added (or); a record not
 *    claimed is seen by its adder only;
 *  - whoever learns an id from a bucket makes its entry ready before passing it on (G3), so an id
 *    in hand has a name even if its adder sleeps between claim and readiness. Nobody waits;
 *  - a budget is never exceeded: the CAS checks it.
 *
 * Wrap-around: nothing counts up but budgets, which end, and 64-bit counters. ABA: a reservation
 * word may return to an old value only by giving back, and its value is the whole of its meaning:
 * all below it is taken, nothing above it is.
 *
 * A flood of names into few buckets: the hash is keyed with random bits of this process, and a
 * path has PROBES_MAX buckets. A name without a place on its path gets "(other)", counted.
 */
#include "tags_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "atomic_internal.h"
#include "clock_internal.h"
#include "siphash_internal.h"
#include "tag_table_internal.h"

#define NAME_MAX_BYTES 1024
#define PROBES_MAX 128
#define WORD ((uint32_t)sizeof(uint64_t))

struct name {
	const char *text;
	uint32_t bytes;
	bool cut;
	uint64_t hash;
};

static const char *const fixed_names[RPCPROF_TAG_FIXED + 1] = {
	"", "(other)", "client", "server", "_OTHER",
};

static struct rpcprof_tag_table table;

/* Word i of a name, padded with NUL. */
static uint64_t name_word(const struct name *name, uint32_t i)
{
	uint32_t left = name->bytes - i * WORD;
	uint64_t word = 0;

	memcpy(&word, name->text + i * WORD, left < WORD ? left : WORD);
	return word;
}

static uint32_t name_words(uint32_t bytes)
{
	return (bytes + WORD - 1) / WORD;
}

/* False for NULL and "". */
static bool name_init(struct name *name, const struct rpcprof_tag_header *header, const char *text,
                      size_t bytes)
{
	struct rpcprof_siphash state;
	uint64_t seed = rpcprof_load_relaxed(&header->seed);

	if (!text)
		return false;
	bytes = strnlen(text, bytes < NAME_MAX_BYTES + 1 ? bytes : NAME_MAX_BYTES + 1);
	name->text = text;
	name->cut = bytes > NAME_MAX_BYTES;
	name->bytes = name->cut ? NAME_MAX_BYTES : (uint32_t)bytes;
	state = rpcprof_siphash_begin(seed, ~seed);
	for (uint32_t i = 0; i < name_words(name->bytes); i++)
		rpcprof_siphash_word(&state, name_word(name, i));
	rpcprof_siphash_word(&state, name->bytes);
	name->hash = rpcprof_siphash_end(&state);
	return bytes > 0;
}

/* relaxed: a record that is claimed does not change, and G1 or G3 showed it whole. */
static bool record_is(const uint64_t *record, const struct name *name)
{
	if (rpcprof_load_relaxed(record) >> 32 != name->bytes)
		return false;
	for (uint32_t i = 0; i < name_words(name->bytes); i++) {
		if (rpcprof_load_relaxed(&record[1 + i]) != name_word(name, i))
			return false;
	}
	return true;
}

static uint32_t record_id(uint32_t record)
{
	return (uint32_t)rpcprof_load_relaxed(&table.records[record]) & RPCPROF_TAG_ID_MASK;
}

/* Whether `text` begins with `word` and a part of the name ends there, or, if the word ends in
 * '/', there is more of it. */
static bool begins_with(const char *text, size_t bytes, const char *word)
{
	size_t length = strlen(word);

	if (bytes < length || memcmp(text, word, length) != 0)
		return false;
	if (word[length - 1] == '/')
		return bytes > length && text[length] != ',';
	return bytes == length || text[length] == ',' || text[length] == '/';
}

/* The marks that a name brings with it; any in its list of hierarchies counts. */
static uint32_t marks_of(const struct name *name)
{
	for (uint32_t i = 0; i < name->bytes; i++) {
		const char *part = name->text + i;
		size_t left = name->bytes - i;

		if ((i == 0 || part[-1] == ',') &&
		    (begins_with(part, left, "/queue") || begins_with(part, left, "/recv/") ||
		     begins_with(part, left, "/send/")))
			return (uint32_t)RPCPROF_TAG_WAITS << RPCPROF_TAG_MARK_SHIFT;
	}
	return 0;
}

static void record_write(uint64_t *record, uint32_t id, const struct name *name)
{
	rpcprof_store_relaxed(record, (uint64_t)name->bytes << 32 | marks_of(name) | id);
	for (uint32_t i = 0; i <= name->bytes / WORD; i++)
		rpcprof_store_relaxed(&record[1 + i],
		                      i * WORD < name->bytes ? name_word(name, i) : 0);
}

/*
 * Goes along a name's path from bucket *at (a count of steps) to the bucket that has it or is
 * empty. Returns the record, 0 if there is none; *at is where it stopped, PROBES_MAX at the end.
 */
static uint32_t probe(const struct name *name, uint32_t *at)
{
	uint32_t steps = table.bucket_mask < PROBES_MAX ? table.bucket_mask + 1 : PROBES_MAX;

	for (; *at < steps; ++*at) {
		/* G2 acquire, pairs with G1: the record before the bucket, else a name compares
		 * unequal to itself and gets two ids. */
		uint64_t word = rpcprof_load_acquire(
			&table.buckets[((uint32_t)name->hash + *at) & table.bucket_mask]);

		if (word == 0)
			return 0;
		if (word >> 32 == name->hash >> 32 &&
		    record_is(&table.records[(uint32_t)word], name))
			return (uint32_t)word;
	}
	*at = PROBES_MAX;
	return 0;
}

/* The id of a record found in a bucket, made ready to be passed on. */
static uint32_t ready(uint32_t record)
{
	uint32_t id = record_id(record);

	/* G3 release, pairs with G4: the record before the entry, else a name shows as garbage.
	 * All who store here store the same. */
	if (rpcprof_load_relaxed(&table.entries[id]) == 0)
		rpcprof_store_release(&table.entries[id], record);
	return id;
}

/* Takes an entry and `words` from a kind's budget; false if it is used up. `was`: before it. */
static bool reserve(struct rpcprof_tag_header *header, enum rpcprof_tag_kind kind, uint32_t words,
                    uint64_t *was)
{
	const struct rpcprof_tag_range *range = &table.kinds[kind];
	uint64_t *used = &header->kinds[kind].used;

	*was = rpcprof_load_relaxed(used);
	do {
		if ((*was >> 32) >= range->entries ||
		    (*was & RPCPROF_TAG_WORDS_MASK) + words > range->words)
			return false;
		/* G6 acquire, pairs with G5: words that were given back are written after their
		 * last owner's stores, else an old name shows through. */
	} while (!rpcprof_cas_acquire(used, was, *was + RPCPROF_TAG_ONE_ENTRY + words));
	return true;
}

static void give_back(struct rpcprof_tag_header *header, enum rpcprof_tag_kind kind, uint32_t words,
                      uint64_t was)
{
	uint64_t mine = was + RPCPROF_TAG_ONE_ENTRY + words;

	/* G5 release, pairs with G6. A failure costs one entry. */
	rpcprof_cas_release(&header->kinds[kind].used, &mine, was);
}

/* Puts a record into the first bucket of the name's path that is empty. Returns the record that
 * the name has now: this one, another's, or 0 if the path is full. */
static uint32_t claim(const struct name *name, uint32_t at, uint32_t record)
{
	uint64_t word = name->hash >> 32 << 32 | record;

	for (;;) {
		uint32_t found = probe(name, &at);
		uint64_t empty = 0;

		if (found != 0 || at == PROBES_MAX)
			return found;
		/* G1 release, pairs with G2: the record before the bucket. Whoever loses here
		 * finds the bucket taken when it probes again. */
		if (rpcprof_cas_release(
			    &table.buckets[((uint32_t)name->hash + at) & table.bucket_mask],
			    &empty, word))
			return record;
	}
}

/* Adds a name that was not there; 0 if there is no room. */
static uint32_t add(struct rpcprof_tag_header *header, enum rpcprof_tag_kind kind,
                    const struct name *name, uint32_t at)
{
	uint32_t words = 2 + name->bytes / WORD, record, found;
	uint64_t was;

	if (at == PROBES_MAX || !reserve(header, kind, words, &was))
		return 0;
	record = table.kinds[kind].first_word + (uint32_t)(was & RPCPROF_TAG_WORDS_MASK);
	record_write(&table.records[record], table.kinds[kind].first_id + (uint32_t)(was >> 32),
	             name);
	found = claim(name, at, record);
	if (found != record)
		give_back(header, kind, words, was);
	else if (name->cut)
		rpcprof_add_relaxed(&header->cut, 1); /* relaxed: a count, guards nothing */
	return found;
}

/* NULL before attach. */
static struct rpcprof_tag_header *attached(void)
{
	/* G8 acquire, pairs with G7: the geometry before the header, else a walk to nowhere. */
	return rpcprof_load_acquire(&table.header);
}

static uint32_t intern(struct rpcprof_tag_header *header, enum rpcprof_tag_kind kind,
                       const char *text, size_t bytes)
{
	struct name name;
	uint32_t at = 0, record;

	if (!header || (unsigned int)kind >= RPCPROF_TAG_KINDS ||
	    !name_init(&name, header, text, bytes))
		return RPCPROF_TAG_NONE;
	record = probe(&name, &at);
	if (record == 0)
		record = add(header, kind, &name, at);
	if (record != 0)
		return ready(record);
	/* relaxed: a count, guards nothing */
	rpcprof_add_relaxed(&header->kinds[kind].overflow, 1);
	return RPCPROF_TAG_OTHER;
}

uint32_t rpcprof_tag_intern(enum rpcprof_tag_kind kind, const char *text, size_t bytes)
{
	return intern(attached(), kind, text, bytes);
}

uint32_t rpcprof_tag_find(const char *text, size_t bytes)
{
	const struct rpcprof_tag_header *header = attached();
	struct name name;
	uint32_t at = 0, record, id;

	if (!header || !name_init(&name, header, text, bytes))
		return RPCPROF_TAG_NONE;
	record = probe(&name, &at);
	if (record == 0)
		return RPCPROF_TAG_NONE;
	id = record_id(record);
	/* It may not write, so what is not ready is not known yet. G4 acquire, pairs with G3. */
	return rpcprof_load_acquire(&table.entries[id]) != 0 ? id : RPCPROF_TAG_NONE;
}

static const char *fixed_name(uint32_t tag, size_t *bytes)
{
	const char *text = fixed_names[tag <= RPCPROF_TAG_FIXED ? tag : 0];

	if (bytes)
		*bytes = strlen(text);
	return text;
}

/* The record of an id; 0 if there is none. */
static uint32_t record_of(uint32_t tag)
{
	if (!attached() || tag >= table.ids)
		return 0;
	/* G4 acquire, pairs with G3: a record that is seen is seen whole. */
	return rpcprof_load_acquire(&table.entries[tag]);
}

const char *rpcprof_tag_name(uint32_t tag, size_t *bytes)
{
	uint32_t record;

	if (tag <= RPCPROF_TAG_FIXED)
		return fixed_name(tag, bytes);
	record = record_of(tag);
	if (record == 0)
		return fixed_name(RPCPROF_TAG_NONE, bytes);
	if (bytes)
		*bytes = rpcprof_load_relaxed(&table.records[record]) >> 32;
	return (const char *)&table.records[record + 1];
}

int rpcprof_tag_set_mark(uint32_t tag, enum rpcprof_tag_mark mark)
{
	uint32_t record = record_of(tag);

	/* Not the fixed ones: "(other)" would take along what is no wait. */
	if (record == 0 || tag <= RPCPROF_TAG_FIXED)
		return -EINVAL;
	/* relaxed: a mark guards nothing; who misses it takes the stage for one without */
	if ((rpcprof_tag_marks(tag) & (uint32_t)mark) == 0)
		(void)rpcprof_or_relaxed(&table.records[record],
		                         (uint64_t)mark << RPCPROF_TAG_MARK_SHIFT);
	return 0;
}

int rpcprof_tag_wait(uint32_t tag)
{
	return rpcprof_tag_set_mark(tag, RPCPROF_TAG_WAITS);
}

uint32_t rpcprof_tag_marks(uint32_t tag)
{
	uint32_t record = record_of(tag);

	if (record == 0)
		return 0;
	return (uint32_t)rpcprof_load_relaxed(&table.records[record]) >> RPCPROF_TAG_MARK_SHIFT;
}

uint32_t rpcprof_tag_refresh(uint64_t *site, enum rpcprof_tag_kind kind, const char *name)
{
	/* Loaded before the table is used: an id is cached for no later epoch than it is good for.
	 * G10 acquire, pairs with G9: a site that sees the epoch finds the table. */
	uint64_t epoch = rpcprof_load_acquire(&rpcprof_control_page.head.tag_epoch);
	uint32_t id = rpcprof_tag_intern(kind, name, (size_t)-1);

	/* G11 release: the entry (G3) before the id in the site. Its partner is the relaxed load
	 * in rpcprof_tag_cached() and the dependency from it to the record that carries the id; a
	 * reader that sees the record but not the entry shows "" for the name, no worse. */
	if (epoch != 0)
		rpcprof_store_release(site, epoch << 32 | id);
	return id;
}

/* Random bits of this process, never 0. Not a secret worth waiting for. */
static uint64_t random_seed(void)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
		seed = (uint64_t)rpcprof_clock_utc_now_ns() ^ (uint64_t)(uintptr_t)&seed << 20;
	return seed | 1;
}

void rpcprof_tags_attach(void *memory, const struct rpcprof_tag_limits *limits)
{
	uint64_t *epoch = &rpcprof_control_page.head.tag_epoch;
	struct rpcprof_tag_header *header = rpcprof_tag_table_lay_out(&table, memory, limits);

	if (!header)
		return;
	if (rpcprof_load_relaxed(&header->seed) == 0)
		rpcprof_store_relaxed(&header->seed, random_seed());
	/* Before anybody else can: their ids are known at compile time. */
	for (uint32_t id = 1; id <= RPCPROF_TAG_FIXED; id++)
		(void)intern(header, RPCPROF_TAG_STAGE, fixed_names[id], (size_t)-1);
	/* G7 release, pairs with G8: geometry, seed and the fixed names before the header. */
	rpcprof_store_release(&table.header, header);
	/* G9 release, pairs with G10: the table before the epoch. It fits in half a word, and 0
	 * is "not attached". */
	rpcprof_store_release(epoch, (uint32_t)(*epoch + 1) ? (uint32_t)(*epoch + 1) : 1);
}

void rpcprof_tags_totals(struct rpcprof_tag_totals *totals)
{
	struct rpcprof_tag_header *header = attached();

	memset(totals, 0, sizeof(*totals));
	if (!header)
		return;
	/* relaxed: each a count of its own */
	for (int kind = 0; kind < RPCPROF_TAG_KINDS; kind++) {
		uint64_t used = rpcprof_load_relaxed(&header->kinds[kind].used);

		totals->overflow[kind] = rpcprof_load_relaxed(&header->kinds[kind].overflow);
		totals->entries += used >> 32;
		totals->bytes += (used & RPCPROF_TAG_WORDS_MASK) * WORD;
	}
	totals->cut = rpcprof_load_relaxed(&header->cut);
}
