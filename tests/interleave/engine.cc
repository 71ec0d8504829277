/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs cases in every interleaving, and with every value that a load may give under C11's memory
 * model as Relacy simulates it.
 *
 * Words are the library's plain integers. Relacy's part of each, the history of its values and who
 * has seen which, lies beside it in a table, made at the word's first access in an execution and
 * gone after it. The newest value is always in the word itself as well, so plain reads of what a
 * thread owns work.
 *
 * Relacy chooses by a tree, depth first. Its full search takes every order of all steps, which does
 * not end for functions of twenty accesses. Here orders that differ in independent steps only
 * (other words, or two loads of one) are taken once, by sleep sets: a thread whose next step has
 * been tried at this point sleeps until a step that depends on it.
 *
 * Long because it is one thing: the words, the search over their values and what is printed of it
 * share state that Relacy's templates make and end; a seam would be an interface of all of it.
 *
 * What Relacy does not do: load buffering (a load that gives a value stored later in its own
 * execution), stores to one word in another order than they were executed in (but see
 * interleave_owned()), and values more than two older than the newest.
 */
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "engine.h"
#include "twin.h" /* after what uses the builtins itself */

namespace {

constexpr int threads_max = 3;
constexpr unsigned words_max = 8192; /* a power of two; half of it is used at most */
constexpr unsigned steps_max = 4096;

uint64_t redundant_executions;

struct word {
	char *address;
	unsigned bytes;
	uint64_t first, newest;
	uint64_t history[rl::atomic_history_size];
	rl::atomic_data *data;
};

struct step {
	const word *where; /* nullptr: nowhere, as a thread's start */
	bool writes;
};

struct trace_entry {
	int thread;
	const char *what;
	twin_place place;
	const word *where;
	uint64_t value, stored;
};

word words[words_max];
word *used[words_max / 2];
unsigned used_count;
const void *split[64];
unsigned split_count;
const char *owned_first;
uint64_t owned_bytes;

const interleave_case *running; /* nullptr: no execution, all accesses are plain */
step next_step[threads_max];
int current_thread;

trace_entry trace[steps_max];
unsigned trace_count;
char failure[256];

/* What takes the number of threads to know. */
rl::atomic_data *(*make_data)();
bool (*comes_after_last)(const rl::atomic_data *data);

uint64_t memory_read(const void *address, unsigned bytes)
{
	uint64_t value = 0;

	memcpy(&value, address, bytes); /* little endian */
	return value;
}

uint64_t truncated(uint64_t value, unsigned bytes)
{
	return bytes == 8 ? value : value & 0xffffffffu;
}

[[noreturn]] void give_up(const char *why, twin_place place)
{
	fprintf(stderr, "%s:%d: %s\n", place.file, place.line, why);
	abort();
}

word *find(const void *address, unsigned bytes, twin_place place)
{
	unsigned at = (unsigned)(((uintptr_t)address >> 2) * UINT64_C(0x9e3779b97f4a7c15) >> 40);
	word *w;

	for (;; at++) {
		w = &words[at % words_max];
		if (w->address == address) {
			if (w->bytes != bytes)
				give_up("a word of two sizes: interleave_split() it", place);
			return w;
		}
		if (w->address == nullptr)
			break;
	}
	if (used_count == words_max / 2)
		give_up("more words than words_max / 2", place);
	used[used_count++] = w;
	w->address = (char *)const_cast<void *>(address);
	w->bytes = bytes;
	w->first = w->newest = memory_read(address, bytes);
	w->data = make_data();
	w->history[1] = w->newest;
	return w;
}

/* Relacy's parts have gone with the rest of it after a failure. */
void words_forget()
{
	for (unsigned i = 0; i < used_count; i++) {
		word *w = used[i];
		if (rl::is_ctx())
			rl::ctx().atomic_dtor(w->data);
		memcpy(w->address, &w->first, w->bytes);
		w->address = nullptr;
	}
	used_count = 0;
}

bool is_split(const void *address)
{
	for (unsigned i = 0; i < split_count; i++)
		if (split[i] == address)
			return true;
	return false;
}

/* Nobody else's, and so not a word: on the running thread's stack. */
bool is_private(const void *address)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return (uintptr_t)address - here < 32 * 1024;
}

bool is_plain(const void *address)
{
	return running == nullptr || is_private(address);
}

void now_runs(int thread)
{
	if (thread == current_thread)
		return;
	interleave_switch(current_thread, thread);
	current_thread = thread;
}

/* Before a store by the thread that runs. */
void require_order(const word *w, twin_place place)
{
	if ((uintptr_t)w->address - (uintptr_t)owned_first < owned_bytes &&
	    !comes_after_last(w->data))
		interleave_fail("this store and an earlier owner's are in order", place.file,
		                place.line);
}

/* Lets any other thread go first. */
void may_switch(const word *where, bool writes)
{
	int me = rl::ctx().current_thread();

	next_step[me] = {where, writes};
	rl::ctx().sched();
	now_runs(me);
}

void note(const char *what, const word *w, uint64_t value, uint64_t stored, twin_place place)
{
	if (trace_count < steps_max)
		trace[trace_count++] = {rl::ctx().current_thread(), what, place, w, value, stored};
}

/* After Relacy made room for it in the history. */
void newest_is(word *w, unsigned index, uint64_t value)
{
	w->newest = truncated(value, w->bytes);
	w->history[index] = w->newest;
	memcpy(w->address, &w->newest, w->bytes);
}

unsigned rmw(word *w, int order, twin_place place)
{
	rl::thread_info_base *thread = rl::ctx().threadx_;
	bool aba;

	switch (order) {
	case __ATOMIC_RELAXED: return thread->atomic_rmw_relaxed(w->data, aba);
	case __ATOMIC_ACQUIRE: return thread->atomic_rmw_acquire(w->data, aba);
	case __ATOMIC_RELEASE: return thread->atomic_rmw_release(w->data, aba);
	case __ATOMIC_ACQ_REL: return thread->atomic_rmw_acq_rel(w->data, aba);
	default: give_up("seq_cst is used nowhere", place);
	}
}

template <typename change_t>
uint64_t change(void *address, unsigned bytes, const char *what, int order, twin_place place,
                change_t value_after)
{
	uint64_t before;

	if (is_plain(address)) {
		before = memory_read(address, bytes);
		uint64_t after = truncated(value_after(before), bytes);
		memcpy(address, &after, bytes);
		return before;
	}
	word *w = find(address, bytes, place);
	may_switch(w, true);
	unsigned index = rmw(w, order, place);
	before = w->newest;
	newest_is(w, index, value_after(before));
	note(what, w, before, w->newest, place);
	return before;
}

/* Depth first over all orders, but those that differ in independent steps only. */
template <int N>
class explorer
	: public rl::tree_search_scheduler<explorer<N>, rl::tree_search_scheduler_thread_info<N>, N> {
public:
	using base = rl::tree_search_scheduler<explorer<N>, rl::tree_search_scheduler_thread_info<N>, N>;
	using typename base::shared_context_t;
	using typename base::thread_info_t;

	explorer(rl::test_params &params, shared_context_t &context, rl::thread_id_t dynamic)
		: base(params, context, dynamic)
	{
	}

	rl::thread_id_t iteration_begin_impl()
	{
		this->stree_depth_ = 0;
		asleep_ = 0;
		redundant_ = false;
		switches_ = stale_ = 0;
		for (step &step : next_step)
			step = {nullptr, false};
		return choose(-1);
	}

	rl::thread_id_t schedule_impl(rl::unpark_reason &reason, unsigned)
	{
		const thread_info_t &thread = *this->thread_;

		reason = rl::unpark_reason_normal;
		return choose(thread.state_ == rl::thread_state_running ? thread.index_ : -1);
	}

	unsigned rand_impl(unsigned limit, rl::sched_type type)
	{
		unsigned choice;

		if (redundant_)
			return 0;
		if (type != rl::sched_type_atomic_load)
			return base::rand_impl(limit, type);
		if (running->stale != ALL && stale_ >= running->stale)
			return 0;
		choice = base::rand_impl(limit, type); /* 0: the newest */
		stale_ += (int)choice;
		return choice;
	}

	rl::iteration_t iteration_count_impl() /* how many there will be: for progress only */
	{
		return this->iter_ + 1;
	}

private:
	unsigned asleep_; /* a bit per thread */
	bool redundant_;  /* all that comes now has been seen: to the end without a choice */
	int switches_, stale_;

	static bool independent(const step &a, const step &b)
	{
		return a.where != b.where || a.where == nullptr || (!a.writes && !b.writes);
	}

	/* now: who could go on; -1: nobody. */
	rl::thread_id_t choose(int now)
	{
		int choices[N], count = 0;
		unsigned index, tried = 0;

		if (running->switches != ALL && now >= 0 && switches_ == running->switches)
			return now;
		if (now >= 0 && !(asleep_ >> now & 1)) /* first, as it costs no switch */
			choices[count++] = now;
		for (int i = 0; i < N; i++)
			if (i != now && this->threads_[i].state_ == rl::thread_state_running &&
			    !(asleep_ >> i & 1))
				choices[count++] = i;
		if (count == 0) {
			redundant_executions += !redundant_;
			redundant_ = true;
			return now >= 0 ? now : this->running_threads[0];
		}
		index = count == 1 ? 0 : this->rand(count, rl::sched_type_sched);
		if (now >= 0 && choices[index] != now)
			switches_++;
		if (running->switches == ALL) {
			for (unsigned i = 0; i < index; i++)
				tried |= 1u << choices[i];
			fall_asleep(tried, choices[index]);
		}
		return choices[index];
	}

	void fall_asleep(unsigned tried, int chosen)
	{
		unsigned still = 0;

		for (int i = 0; i < N; i++)
			if (i != chosen && ((asleep_ | tried) >> i & 1) &&
			    independent(next_step[i], next_step[chosen]))
				still |= 1u << i;
		asleep_ = still;
	}
};

/* A word as it is before anyone but the fixture has stored to it. */
template <int N>
rl::atomic_data *make_data_of()
{
	auto *data = static_cast<rl::atomic_data_impl<N> *>(rl::ctx().atomic_ctor(nullptr));
	auto &first = data->history_[1];

	data->current_index_ = 1;
	first.busy_ = true;
	first.seq_cst_ = false;
	first.thread_id_ = 0;
	first.acq_rel_timestamp_ = 0;
	for (int i = 0; i < N; i++) {
		first.acq_rel_order_[i] = 0;
		first.first_seen_order_[i] = (rl::timestamp_t)-1;
	}
	return data;
}

/* Whether the newest store to a word happens before what the running thread does now. */
template <int N>
bool comes_after_last_of(const rl::atomic_data *of_word)
{
	auto *data = static_cast<const rl::atomic_data_impl<N> *>(of_word);
	const auto &last = data->history_[data->current_index_ % rl::atomic_history_size];

	return rl::ctx().threadx_->acq_rel_order_[last.thread_id_] >= last.acq_rel_timestamp_;
}

template <int N>
struct suite : rl::test_suite<suite<N>, N> {
	void before()
	{
		trace_count = 0;
		current_thread = -1;
		interleave_begin();
	}
	void thread(unsigned number)
	{
		now_runs((int)number);
		running->thread((int)number);
	}
	void after()
	{
		if (running->check != nullptr)
			running->check();
		words_forget();
	}
};

template <int N>
bool simulate(const interleave_case &one, uint64_t *executions)
{
	rl::test_params params;
	std::ostream nowhere(nullptr);
	rl::test_result_e result;

	params.output_stream = params.progress_stream = &nowhere;
	/* Which scheduler it is says run_test() below; this, that loads may give values two older. */
	params.search_type = rl::sched_random;
	params.iteration_count = one.random;
	make_data = make_data_of<N>;
	comes_after_last = comes_after_last_of<N>;
	if (one.random != 0)
		result = rl::run_test<suite<N>, rl::random_scheduler<N>>(params, nowhere, false);
	else
		result = rl::run_test<suite<N>, explorer<N>>(params, nowhere, false);
	*executions = params.stop_iteration;
	if (result != rl::test_result_success && failure[0] == 0)
		snprintf(failure, sizeof(failure), "%s", rl::test_result_str(result));
	return result == rl::test_result_success;
}

void print_trace()
{
	for (unsigned i = 0; i < trace_count; i++) {
		const trace_entry &e = trace[i];
		const char *file = strrchr(e.place.file, '/');
		printf("  %*sthread %d  %-16s", 4 * e.thread, "", e.thread, e.what);
		if (e.where != nullptr)
			printf(" %p: %#llx", (void *)e.where->address, (unsigned long long)e.value);
		if (e.where != nullptr && e.stored != e.value)
			printf(" -> %#llx", (unsigned long long)e.stored);
		printf("  (%s:%d)\n", file != nullptr ? file + 1 : e.place.file, e.place.line);
	}
}

void describe(const interleave_case &one, char *text, size_t room)
{
	char switches[16] = "all", stale[16] = "all";

	if (one.random != 0) {
		snprintf(text, room, "at random");
		return;
	}
	if (one.switches != ALL)
		snprintf(switches, sizeof(switches), "<= %d", one.switches);
	if (one.stale != ALL)
		snprintf(stale, sizeof(stale), "<= %d", one.stale);
	snprintf(text, room, "%s switches, %s stale loads", switches, stale);
}

bool run_case(const interleave_case &one)
{
	uint64_t executions = 0;
	char search[64];
	bool ok;

	split_count = 0;
	owned_bytes = 0;
	redundant_executions = 0;
	failure[0] = 0;
	one.setup();
	clock_t begin = clock();
	running = &one;
	ok = one.threads == 2 ? simulate<2>(one, &executions) : simulate<3>(one, &executions);
	running = nullptr;
	describe(one, search, sizeof(search));
	printf("%-5s %-28s %d threads, %s: %llu executions, %.1f s\n", ok ? "ok" : "NOT", one.name,
	       one.threads, search, (unsigned long long)(executions - redundant_executions),
	       (double)(clock() - begin) / CLOCKS_PER_SEC);
	if (!ok) {
		printf("  %s\n", failure);
		print_trace();
		words_forget();
	}
	fflush(stdout);
	return ok;
}

bool is_wanted(const char *name, int count, char **wanted)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, wanted[i]) == 0)
			return true;
	return count == 0;
}

} // namespace

extern "C" {

uint64_t twin_load(const void *address, unsigned bytes, int order, twin_place place)
{
	if (is_plain(address))
		return memory_read(address, bytes);
	if (bytes == 8 && is_split(address))
		return twin_load(address, 4, order, place) |
		       twin_load((const char *)address + 4, 4, order, place) << 32;
	word *w = find(address, bytes, place);
	may_switch(w, false);
	rl::thread_info_base *thread = rl::ctx().threadx_;
	unsigned index = order == __ATOMIC_RELAXED ? thread->atomic_load_relaxed(w->data)
	                                           : thread->atomic_load_acquire(w->data);
	uint64_t value = w->history[index];
	note(value == w->newest ? (order == __ATOMIC_RELAXED ? "load" : "load acquire")
	                        : (order == __ATOMIC_RELAXED ? "load, stale" : "load acquire, stale"),
	     w, value, value, place);
	return value;
}

void twin_store(void *address, unsigned bytes, uint64_t value, int order, twin_place place)
{
	if (is_plain(address)) {
		memcpy(address, &value, bytes);
		return;
	}
	if (bytes == 8 && is_split(address)) {
		twin_store(address, 4, value, order, place);
		twin_store((char *)address + 4, 4, value >> 32, order, place);
		return;
	}
	word *w = find(address, bytes, place);
	may_switch(w, true);
	require_order(w, place);
	rl::thread_info_base *thread = rl::ctx().threadx_;
	uint64_t before = w->newest;
	newest_is(w, order == __ATOMIC_RELAXED ? thread->atomic_store_relaxed(w->data)
	                                       : thread->atomic_store_release(w->data), value);
	note(order == __ATOMIC_RELAXED ? "store" : "store release", w, before, w->newest, place);
}

uint64_t twin_exchange(void *address, unsigned bytes, uint64_t value, int order, twin_place place)
{
	return change(address, bytes, "exchange", order, place, [=](uint64_t) { return value; });
}

uint64_t twin_add(void *address, unsigned bytes, uint64_t value, int order, twin_place place)
{
	return change(address, bytes, "add", order, place,
	              [=](uint64_t before) { return before + value; });
}

uint64_t twin_and(void *address, unsigned bytes, uint64_t value, int order, twin_place place)
{
	return change(address, bytes, "and", order, place,
	              [=](uint64_t before) { return before & value; });
}

uint64_t twin_or(void *address, unsigned bytes, uint64_t value, int order, twin_place place)
{
	return change(address, bytes, "or", order, place,
	              [=](uint64_t before) { return before | value; });
}

int twin_cas(void *address, unsigned bytes, void *expected, uint64_t value, int order,
             int order_if_not, twin_place place)
{
	uint64_t wanted = memory_read(expected, bytes), found;

	if (is_plain(address)) {
		found = memory_read(address, bytes);
		memcpy(found == wanted ? address : expected, found == wanted ? &value : &found, bytes);
		return found == wanted;
	}
	word *w = find(address, bytes, place);
	may_switch(w, true);
	found = w->newest;
	if (found == wanted) {
		newest_is(w, rmw(w, order, place), value);
		note("cas", w, found, w->newest, place);
		return 1;
	}
	rl::thread_info_base *thread = rl::ctx().threadx_;
	if (order_if_not == __ATOMIC_RELAXED)
		(void)thread->atomic_load_relaxed_rmw(w->data);
	else
		(void)thread->atomic_load_acquire_rmw(w->data);
	note("cas, fails", w, found, found, place);
	memcpy(expected, &found, bytes);
	return 0;
}

void twin_fence(int order, twin_place place)
{
	if (running == nullptr)
		return;
	if (order == __ATOMIC_ACQUIRE)
		rl::ctx().atomic_thread_fence_acquire();
	else
		rl::ctx().atomic_thread_fence_release();
	note(order == __ATOMIC_ACQUIRE ? "fence acquire" : "fence release", nullptr, 0, 0, place);
}

void interleave_split(const void *both)
{
	split[split_count++ % (sizeof(split) / sizeof(split[0]))] = both;
}

void interleave_owned(const void *first, uint64_t bytes)
{
	owned_first = (const char *)first;
	owned_bytes = bytes;
}

void interleave_fail(const char *what, const char *file, int line)
{
	if (running == nullptr)
		give_up(what, {file, line});
	snprintf(failure, sizeof(failure), "%s:%d: required: %s", file, line, what);
	rl::ctx().fail_test(what, rl::test_result_user_assert_failed, $);
}

} // extern "C"

/* usage: interleave [CASE...] */
int main(int argc, char **argv)
{
	const interleave_case *const all[] = {tag_cases, buffer_cases, stat_cases, holder_cases,
	                                      cell_cases, lock_cases, grpc_cases,
	                                      control_cases /* last: they call fini */};
	int ran = 0, failed = 0;

	for (const interleave_case *cases : all) {
		for (; cases->name != nullptr; cases++) {
			if (!is_wanted(cases->name, argc - 1, argv + 1))
				continue;
			ran++;
			failed += !run_case(*cases);
		}
	}
	if (ran == 0)
		fprintf(stderr, "interleave: no case '%s'\n", argv[1]);
	return ran == 0 || failed != 0;
}
