/* SPDX-License-Identifier: Apache-2.0 */
/* Four completion queue threads hand each call to a pool, whose threads find its Stat by its
 * context: 100 000 calls, and each stage is in its own call. The handler puts the call's number into
 * its stage's name and into a label; that this is the Stat on which the interceptor recorded the
 * same call shows in its stages: the handler's lies in /handler, and its thread sent the answer. */
#include <criterion/criterion.h>

#include <condition_variable>
#include <deque>

#include "echo.hpp"
#include "seen.hpp"

#ifdef RPCPROF_TSAN_
#define CALLS 10000
#else
#define CALLS 100000
#endif
#define QUEUES 4
#define HANDLERS 3
#define OUTSTANDING 64 /* per completion queue thread of the client */
#define NUMBERS 64     /* stages are named for a call's number modulo this */

static uint32_t stage_tags[NUMBERS], label_tags[NUMBERS], number_key;
static std::atomic<int> unfound;

/* Calls for threads that wait for them. */
template <class Item> class Pool {
public:
	void put(Item item)
	{
		{
			std::lock_guard<std::mutex> lock(mutex_);

			items_.push_back(item);
		}
		changed_.notify_one();
	}

	Item take()
	{
		std::unique_lock<std::mutex> lock(mutex_);
		Item item;

		changed_.wait(lock, [this] { return !items_.empty(); });
		item = items_.front();
		items_.pop_front();
		return item;
	}

private:
	std::mutex mutex_;
	std::condition_variable changed_;
	std::deque<Item> items_;
};

struct ServerCall;
static Pool<ServerCall *> pool;

/* A call of the server: requested, handed to the pool, answered, gone. */
struct ServerCall {
	Echo::AsyncService *service;
	grpc::ServerCompletionQueue *cq;
	grpc::ServerContext context;
	grpc::ServerAsyncResponseWriter<Message> writer{&context};
	Message in;
	bool answered = false;

	ServerCall(Echo::AsyncService *a_service, grpc::ServerCompletionQueue *a_cq)
		: service(a_service), cq(a_cq)
	{
		service->RequestUnary(&context, &in, &writer, cq, cq, this);
	}

	/* On a queue's thread. */
	void event(bool ok)
	{
		if (!ok || answered) {
			delete this;
			return;
		}
		new ServerCall(service, cq);
		answered = true;
		pool.put(this);
	}

	/* On a thread of the pool. */
	void handle()
	{
		struct rpcprof_stat stat = rpcprof::stat(&context);
		uint32_t number = in.count() % NUMBERS;

		if (rpcprof_stat_is_null(stat))
			unfound++;
		{
			rpcprof::Scope stage(stat, stage_tags[number]);

			rpcprof_stat_set_label(stat, number_key, label_tags[number]);
		}
		writer.Finish(in, grpc::Status::OK, this);
	}
};

struct ClientCall {
	grpc::ClientContext context;
	std::unique_ptr<grpc::ClientAsyncResponseReader<Message>> reader;
	Message out;
	grpc::Status status;
};

/* Makes `calls` calls, some at a time. */
static void call(Echo::Stub *stub, uint32_t first, uint32_t calls)
{
	grpc::CompletionQueue cq;
	uint32_t begun = 0, done = 0;
	void *tag;
	bool ok;

	while (done < calls) {
		for (; begun < calls && begun < done + OUTSTANDING; begun++) {
			auto *one = new ClientCall;

			one->reader = stub->AsyncUnary(&one->context,
			                               message("hello", first + begun), &cq);
			one->reader->Finish(&one->out, &one->status, one);
		}
		cr_assert(cq.Next(&tag, &ok) && ok);
		std::unique_ptr<ClientCall> one(static_cast<ClientCall *>(tag));

		cr_assert(one->status.ok());
		done++;
	}
	cq.Shutdown();
	while (cq.Next(&tag, &ok))
		;
}

static void serve(grpc::ServerCompletionQueue *cq)
{
	void *tag;
	bool ok;

	while (cq->Next(&tag, &ok))
		static_cast<ServerCall *>(tag)->event(ok);
}

static void handle()
{
	while (ServerCall *one = pool.take())
		one->handle();
}

struct Check {
	uint32_t calls, wrong;
};

/* Timers of one Stat, by what the test asks of them. */
struct Timers {
	struct rpcprof_timer_view mine, handler, sent;
	uint32_t number, count; /* of mine */
};

static Timers timers_of(const struct rpcprof_view *view)
{
	static const uint32_t handler = RPCPROF_TAG("/handler"), sent = RPCPROF_TAG("/send/status");
	struct rpcprof_timer_view timer;
	Timers timers = {};

	for (uint32_t i = 0; i < view->slots; i++) {
		if (!rpcprof_view_timer(view, i, &timer))
			continue;
		if (timer.tag == handler)
			timers.handler = timer;
		else if (timer.tag == sent)
			timers.sent = timer;
		for (uint32_t n = 0; n < NUMBERS; n++)
			if (timer.tag == stage_tags[n]) {
				timers.mine = timer;
				timers.number = n;
				timers.count++;
			}
	}
	return timers;
}

static int check(void *arg, const struct rpcprof_view *view)
{
	Check *result = static_cast<Check *>(arg);
	uint32_t key, label = 0;
	Timers t = timers_of(view);

	rpcprof_view_label(view, 0, &key, &label);
	result->calls++;
	result->wrong += t.count != 1 || label != label_tags[t.number] ||
	                 t.mine.begin < t.handler.begin || t.mine.end > t.handler.end ||
	                 t.mine.end > t.sent.begin || t.mine.thread != t.sent.thread;
	return 0;
}

static void name_stages()
{
	number_key = rpcprof_tag_intern(RPCPROF_TAG_LABEL, "number", 6);
	for (uint32_t i = 0; i < NUMBERS; i++) {
		std::string name = std::to_string(i);

		label_tags[i] = rpcprof_tag_intern(RPCPROF_TAG_LABEL, name.data(), name.size());
		name = "/handler/" + name;
		stage_tags[i] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, name.data(), name.size());
	}
}

Test(grpcpp_handoff, each_stage_is_in_its_own_call)
{
	struct rpcprof_config config = {};
	std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> cqs;
	std::vector<std::thread> queues, handlers, callers;
	Echo::AsyncService service;
	grpc::ServerBuilder builder;
	Check result = {};
	int port;

	config.size = sizeof(config);
	config.capacity = CALLS + CALLS / 4; /* none is displaced before all are looked at */
	config.single_ring = 1;
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	name_stages();
	builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
	builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
	builder.RegisterService(&service);
	for (int i = 0; i < QUEUES; i++)
		cqs.push_back(builder.AddCompletionQueue());
	auto server = builder.BuildAndStart();
	for (auto &cq : cqs) {
		for (int i = 0; i < 16; i++)
			new ServerCall(&service, cq.get());
		queues.emplace_back(serve, cq.get());
	}
	for (int i = 0; i < HANDLERS; i++)
		handlers.emplace_back(handle);

	auto stub = Echo::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
	                                              grpc::InsecureChannelCredentials()));
	for (int i = 0; i < 2; i++)
		callers.emplace_back(call, stub.get(), i * CALLS / 2, CALLS / 2);
	for (std::thread &thread : callers)
		thread.join();
	server->Shutdown();
	for (auto &cq : cqs)
		cq->Shutdown();
	for (std::thread &thread : queues)
		thread.join();
	for (int i = 0; i < HANDLERS; i++)
		pool.put(nullptr);
	for (std::thread &thread : handlers)
		thread.join();

	cr_assert_eq(seen_in_flight(), 0);
	cr_assert_eq(rpcprof_drain(check, &result), CALLS);
	cr_assert_eq(unfound.load(), 0);
	cr_assert_eq(result.calls, static_cast<uint32_t>(CALLS));
	cr_assert_eq(result.wrong, 0u);
}
