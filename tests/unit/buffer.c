/* SPDX-License-Identifier: Apache-2.0 */
/* The circular buffer as one thread sees it; buffer_recency.c is about what it keeps. */
#include "buffer/buffer_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define LIST_MAX 8192

/* Values in the order in which they came; stops after `stop` of them, if not 0. */
struct list {
	uint64_t values[LIST_MAX];
	size_t count;
	size_t stop;
	struct rpcprof_buffer *push_into;
};

static int list_add(void *arg, uint64_t value)
{
	struct list *list = arg;

	cr_assert(list->count < LIST_MAX);
	list->values[list->count++] = value;
	if (list->push_into != NULL && list->count <= 3)
		cr_assert_eq(rpcprof_buffer_push(list->push_into, value + 1000), 0);
	return list->count == list->stop;
}

static size_t round_up(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (bytes + page - 1) / page * page;
}

/* A buffer that ends where the mapping ends: one byte further is a fault. */
static struct rpcprof_buffer buffer_open(uint32_t capacity, uint32_t shards)
{
	size_t bytes = rpcprof_buffer_bytes(capacity, shards);
	size_t mapped = round_up(bytes);
	struct rpcprof_buffer buffer;
	char *memory = mmap(NULL, mapped + round_up(1), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	cr_assert(memory != MAP_FAILED);
	cr_assert_eq(mprotect(memory + mapped, round_up(1), PROT_NONE), 0);
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory + mapped - bytes, capacity, shards), 0);
	return buffer;
}

static void push_range(struct rpcprof_buffer *buffer, uint64_t first, uint64_t last)
{
	for (uint64_t value = first; value <= last; value++)
		cr_assert_eq(rpcprof_buffer_push(buffer, value), 0);
}

Test(buffer, sizes_out_of_range_are_refused)
{
	static char memory[128] __attribute__((aligned(128)));
	struct rpcprof_buffer buffer, before;

	memset(&buffer, 0x5a, sizeof(buffer));
	before = buffer;
	cr_assert_eq(rpcprof_buffer_bytes(0, 1), 0);
	cr_assert_eq(rpcprof_buffer_bytes(RPCPROF_BUFFER_CAPACITY_MAX + 1, 1), 0);
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory, 0, 1), -EINVAL);
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory, RPCPROF_BUFFER_CAPACITY_MAX + 1, 1),
		     -EINVAL);
	cr_assert_eq(rpcprof_buffer_init(&buffer, NULL, 1, 1), -EINVAL);
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory + 64, 1, 1), -EINVAL);
	cr_assert_eq(memcmp(&buffer, &before, sizeof(buffer)), 0, "changed though refused");
}

Test(buffer, the_largest_capacity_is_about_eight_bytes_a_value)
{
	size_t bytes = rpcprof_buffer_bytes(RPCPROF_BUFFER_CAPACITY_MAX, 0);

	cr_assert_gt(bytes, (size_t)RPCPROF_BUFFER_CAPACITY_MAX * 8);
	cr_assert_lt(bytes, (size_t)RPCPROF_BUFFER_CAPACITY_MAX * 9);
	cr_assert_eq(bytes % 128, 0);
}

Test(buffer, any_number_of_shards_gives_room_for_capacity)
{
	static const uint32_t shards[] = { 0, 1, 2, 3, 7, 128, 1024, 1025, UINT32_MAX };

	for (size_t i = 0; i < sizeof(shards) / sizeof(shards[0]); i++) {
		for (uint32_t capacity = 1; capacity < 5000; capacity += 1 + capacity / 5) {
			struct rpcprof_buffer buffer = buffer_open(capacity, shards[i]);

			cr_assert_geq(rpcprof_buffer_slots(&buffer),
				      capacity + 2 * buffer.shards * buffer.block_slots);
			cr_assert_leq(buffer.shards, BUFFER_SHARDS_MAX);
			munmap((void *)((uintptr_t)buffer.memory & ~(round_up(1) - 1)),
			       round_up(rpcprof_buffer_bytes(capacity, shards[i])) + round_up(1));
		}
	}
}

Test(buffer, init_does_not_touch_the_memory)
{
	size_t bytes = round_up(rpcprof_buffer_bytes(100, 2));
	void *memory = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rpcprof_buffer buffer;

	cr_assert_eq(rpcprof_buffer_init(&buffer, memory, 100, 2), 0);
}

Test(buffer, zeroed_memory_is_empty)
{
	struct rpcprof_buffer buffer = buffer_open(100, 2);
	struct list list = { 0 };

	cr_assert_eq(rpcprof_buffer_drain(&buffer, list_add, &list), 0);
	cr_assert_eq(rpcprof_buffer_walk(&buffer, list_add, &list), 0);
	cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), 0);
	cr_assert_eq(list.count, 0);
}

/* Every value comes out once: displaced, or drained. */
static void account(uint32_t capacity, uint32_t shards, uint64_t first_number)
{
	struct rpcprof_buffer buffer = buffer_open(capacity, shards);
	uint64_t pushes = 3 * rpcprof_buffer_slots(&buffer) + 7;
	uint8_t *out = calloc(pushes + 1, 1);
	struct list list = { 0 };

	rpcprof_buffer_start_at(&buffer, first_number);
	for (uint64_t value = 1; value <= pushes; value++)
		out[rpcprof_buffer_push(&buffer, value)]++;
	cr_assert_eq(rpcprof_buffer_walk(&buffer, list_add, &list),
		     rpcprof_buffer_drain(&buffer, list_add, &list));
	cr_assert_geq(list.count / 2, capacity);
	for (size_t i = list.count / 2; i < list.count; i++)
		out[list.values[i]]++;
	for (uint64_t value = 1; value <= pushes; value++)
		cr_assert_eq(out[value], 1, "capacity %u: %lu came out %u times", capacity,
			     (unsigned long)value, out[value]);
	free(out);
}

Test(buffer, every_value_comes_out_once)
{
	static const uint32_t capacities[] = { 1, 2, 3, 15, 16, 100, 2000 };

	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++) {
		account(capacities[i], 1, 0);
		account(capacities[i], 2, 0);
		account(capacities[i], 64, 0);
	}
}

/* One shard, so alone: then the hint is right, over the ends of blocks and of the memory too. */
Test(buffer, a_push_tells_what_the_third_after_it_will_displace)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	uint64_t full = 2 * rpcprof_buffer_slots(&buffer), hint, hints[3] = { 0 };

	for (uint64_t value = 1; value <= 2 * full; value++) {
		uint64_t displaced = rpcprof_buffer_push_peek(&buffer, value, &hint);
		if (value > full)
			cr_assert_eq(displaced, hints[value % 3]);
		hints[value % 3] = hint;
	}
}

Test(buffer, every_value_comes_out_once_as_the_block_number_wraps)
{
	account(100, 2, UINT64_MAX - 3);
	account(1, 1, UINT64_MAX);
}

Test(buffer, every_value_comes_out_once_as_the_lap_wraps)
{
	struct rpcprof_buffer buffer = buffer_open(100, 2);
	uint64_t laps = UINT64_C(1) << (BUFFER_NAME_BITS - BUFFER_INDEX_BITS);

	account(100, 2, (laps - 2) * buffer.blocks);
	account(100, 2, (laps - 1) * buffer.blocks - 1);
}

/* Far more pushes than there can be threads between a full block and the next. */
Test(buffer, a_position_that_carries_stays_inside)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	struct list list = { 0 };

	buffer_shard(&buffer, 0)->cur = (uint64_t)(buffer.blocks - 1) << BUFFER_POS_BITS |
					BUFFER_POS_MASK;
	push_range(&buffer, 1, 1);
	buffer_shard(&buffer, 0)->cur = (uint64_t)buffer.blocks << BUFFER_POS_BITS;
	push_range(&buffer, 2, 3);
	cr_assert_eq(rpcprof_buffer_drain(&buffer, list_add, &list), 3);
}

Test(buffer, drain_stops_when_told_and_the_rest_stays)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	struct list list = { .stop = 3 };

	push_range(&buffer, 1, 50);
	cr_assert_eq(rpcprof_buffer_drain(&buffer, list_add, &list), 3);
	cr_assert_eq(rpcprof_buffer_drain(&buffer, list_add, &list), 47);
	for (uint64_t i = 0; i < 50; i++)
		cr_assert_eq(list.values[i], i + 1);
}

Test(buffer, walk_stops_when_told_and_takes_nothing)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	struct list list = { .stop = 3 };

	push_range(&buffer, 1, 50);
	cr_assert_eq(rpcprof_buffer_walk(&buffer, list_add, &list), 3);
	cr_assert_eq(rpcprof_buffer_walk(&buffer, list_add, &list), 50);
	cr_assert_eq(rpcprof_buffer_drain(&buffer, list_add, &list), 50);
}

Test(buffer, drain_is_oldest_first_also_after_many_laps)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	uint64_t last = 7 * rpcprof_buffer_slots(&buffer) + 4 * buffer.block_slots;
	struct list list = { 0 };

	for (uint64_t value = 1; value <= last; value++)
		rpcprof_buffer_push(&buffer, value);
	rpcprof_buffer_drain(&buffer, list_add, &list);
	for (size_t i = 0; i < list.count; i++)
		cr_assert_eq(list.values[i], last - list.count + 1 + i);
}

Test(buffer, a_drain_callback_may_push)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	struct list list = { .push_into = &buffer };

	push_range(&buffer, 1, 50);
	rpcprof_buffer_drain(&buffer, list_add, &list);
	list.push_into = NULL;
	rpcprof_buffer_drain(&buffer, list_add, &list);
	cr_assert_eq(list.count, 53);
	for (uint64_t i = 0; i < 50; i++)
		cr_assert_eq(list.values[i], i + 1);
	for (uint64_t i = 0; i < 3; i++)
		cr_assert_eq(list.values[50 + i], 1001 + i);
}

Test(buffer, take_oldest_takes_in_order_until_empty)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	uint64_t next = 1;

	push_range(&buffer, 1, 40);
	while (next <= 30)
		cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), next++);
	push_range(&buffer, 41, 90);
	while (next <= 90)
		cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), next++);
	cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), 0);
	push_range(&buffer, 91, 91);
	cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), 91);
}

Test(buffer, take_oldest_follows_when_it_is_lapped)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);
	uint64_t slots = rpcprof_buffer_slots(&buffer);
	uint64_t last = 5 * slots + 4 * buffer.block_slots;

	push_range(&buffer, 1, 10);
	cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), 1);
	for (uint64_t value = 11; value <= last; value++)
		rpcprof_buffer_push(&buffer, value);
	for (uint64_t value = last - slots + 1; value <= last; value++)
		cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), value);
}

/* Else each would look through all the empty blocks again. */
Test(buffer, take_oldest_goes_on_where_it_was)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);

	push_range(&buffer, 1, 90);
	for (uint64_t taken = 1; taken <= 90; taken++) {
		cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), taken);
		cr_assert_eq(buffer_head(&buffer)->oldest_hint, (taken - 1) / buffer.block_slots);
	}
}

Test(buffer, take_oldest_finds_a_value_whatever_the_hint)
{
	struct rpcprof_buffer buffer = buffer_open(100, 1);

	for (uint64_t hint = 0; hint <= buffer.blocks + 2; hint++) {
		push_range(&buffer, hint + 1, hint + 1);
		buffer_head(&buffer)->oldest_hint = hint;
		cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), hint + 1);
	}
	push_range(&buffer, 1000, 1000);
	buffer_head(&buffer)->oldest_hint = UINT64_MAX;
	cr_assert_eq(rpcprof_buffer_take_oldest(&buffer), 1000);
}

static struct rpcprof_buffer map_file(int fd, int protection)
{
	struct rpcprof_buffer buffer;
	void *memory = mmap(NULL, rpcprof_buffer_bytes(100, 2), protection, MAP_SHARED, fd, 0);

	cr_assert(memory != MAP_FAILED);
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory, 100, 2), 0);
	return buffer;
}

static int memory_file(void)
{
	int fd = memfd_create("buffer", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)rpcprof_buffer_bytes(100, 2)), 0);
	return fd;
}

Test(buffer, two_mappings_are_one_buffer)
{
	int fd = memory_file();
	struct rpcprof_buffer here = map_file(fd, PROT_READ | PROT_WRITE);
	struct rpcprof_buffer there = map_file(fd, PROT_READ | PROT_WRITE);
	struct list list = { 0 };

	cr_assert_neq(here.memory, there.memory);
	for (uint64_t value = 1; value <= 100; value++)
		cr_assert_eq(rpcprof_buffer_push(value % 2 ? &here : &there, value), 0);
	cr_assert_neq(rpcprof_buffer_take_oldest(&there), 0);
	list.stop = 40;
	cr_assert_eq(rpcprof_buffer_drain(&here, list_add, &list), 40);
	list.stop = 0;
	cr_assert_eq(rpcprof_buffer_drain(&there, list_add, &list), 59);
	cr_assert_eq(rpcprof_buffer_take_oldest(&here), 0);
}

Test(buffer, walk_works_on_a_read_only_mapping)
{
	int fd = memory_file();
	struct rpcprof_buffer writer = map_file(fd, PROT_READ | PROT_WRITE);
	struct rpcprof_buffer reader = map_file(fd, PROT_READ);
	struct list list = { 0 };

	push_range(&writer, 1, 100);
	cr_assert_eq(rpcprof_buffer_walk(&reader, list_add, &list), 100);
}
