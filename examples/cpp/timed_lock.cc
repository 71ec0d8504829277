/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long threads wait for a lock: rpcprof::TimedLock in place of std::lock_guard. Threads that
 * serve calls share a table with one that cleans it up. Then the profile "mutex": name a file for
 * it, and look with go tool pprof -sample_index=delay -top.
 */
#include <rpcprof/rpcprof.hpp>
#include <rpcprof/waits.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

static std::mutex mutex;
static std::map<int, int> table;

/* In a call the wait is one of its stages too: the dump shows it. */
static void serve(int key)
{
	struct rpcprof_stat call = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	{
		rpcprof::TimedLock<std::mutex> lock(mutex, RPCPROF_TAG("/lock/table"), call);
		table[key % 100]++;
	}
	rpcprof_stat_end(call);
}

static void clean_up()
{
	rpcprof::TimedLock<std::mutex> lock(mutex, RPCPROF_TAG("/lock/table"));

	table.clear();
	std::this_thread::sleep_for(std::chrono::milliseconds(1)); /* what calls have to wait for */
}

int main(int argc, char **argv)
{
	std::vector<std::thread> threads;
	uint8_t *bytes;
	size_t length;

	if (rpcprof_init(nullptr) != 0 || rpcprof_enable(true) != 0)
		return 1;
	rpcprof_set_mutex_fraction(1); /* in production 10 or 100: one of so many */
	threads.emplace_back([] {
		for (int i = 0; i < 50; i++)
			clean_up();
	});
	for (int i = 0; i < 3; i++)
		threads.emplace_back([] {
			for (int key = 0; key < 3000; key++)
				serve(key);
		});
	for (std::thread &thread : threads)
		thread.join();
	if (rpcprof_mutex_encode(&bytes, &length) != 0)
		return 1;
	std::FILE *file = argc > 1 ? std::fopen(argv[1], "wb") : std::tmpfile();
	bool written = file != nullptr && std::fwrite(bytes, 1, length, file) == length;
	if (file != nullptr && std::fclose(file) != 0)
		written = false;
	std::free(bytes);
	return written ? 0 : 1;
}
