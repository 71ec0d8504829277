/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C++ interceptors cost: CPU that they add to a unary call, a side, against the same call
 * without them; and what gRPC C++ itself spends on a call with one that does nothing. Both sides
 * run in this process, the sync API on loopback; each round makes the calls of every mode in turn,
 * and what is printed is the median over rounds of the difference to the same round's calls without
 * interceptors, with its 95 % interval.
 *
 *     cmake --preset release -DRPCPROF_GRPCPP=ON && cmake --build --preset release
 *     build/release/bench/bench_grpcpp [ROUNDS [CALLS]]
 */
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "greeter.grpc.pb.h"
#include "rpcprof/grpcpp.hpp"

class Greeter final : public greeter::Greeter::Service {
	grpc::Status SayHello(grpc::ServerContext *, const greeter::HelloRequest *request,
	                      greeter::HelloReply *reply) override
	{
		reply->set_message(request->name());
		return grpc::Status::OK;
	}
};

using namespace grpc::experimental;

class Empty final : public Interceptor {
	void Intercept(InterceptorBatchMethods *methods) override
	{
		methods->Proceed();
	}
};

class EmptyFactory final : public ServerInterceptorFactoryInterface,
			   public ClientInterceptorFactoryInterface {
	Interceptor *CreateServerInterceptor(ServerRpcInfo *) override
	{
		return new Empty;
	}

	Interceptor *CreateClientInterceptor(ClientRpcInfo *) override
	{
		return new Empty;
	}
};

enum Kind { NONE, EMPTY, OURS };

template <class Factory> using Creators = std::vector<std::unique_ptr<Factory>>;

template <class Factory> static Creators<Factory> creators(Kind kind, Creators<Factory> ours)
{
	Creators<Factory> all;

	if (kind == OURS)
		return ours;
	if (kind == EMPTY)
		all.push_back(std::make_unique<EmptyFactory>());
	return all;
}

/* A server with interceptors of a kind, and a stub with each kind to it. */
struct Side {
	explicit Side(Kind kind)
	{
		grpc::ServerBuilder builder;
		std::string address;
		int port = 0;

		builder.experimental().SetInterceptorCreators(
			creators(kind, rpcprof::server_interceptors()));
		builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
		builder.RegisterService(&service);
		server = builder.BuildAndStart();
		address = "127.0.0.1:" + std::to_string(port);
		for (Kind each : {NONE, EMPTY, OURS})
			stubs[each] = greeter::Greeter::NewStub(CreateCustomChannelWithInterceptors(
				address, grpc::InsecureChannelCredentials(),
				grpc::ChannelArguments(),
				creators(each, rpcprof::client_interceptors())));
	}

	Greeter service;
	std::unique_ptr<grpc::Server> server;
	std::unique_ptr<greeter::Greeter::Stub> stubs[OURS + 1];
};

struct Mode {
	const char *name;
	Kind server, client;
	bool on;
};

static const Mode modes[] = {
	{"none", NONE, NONE, false},        {"server, empty", EMPTY, NONE, false},
	{"client, empty", NONE, EMPTY, false}, {"server, off", OURS, NONE, false},
	{"client, off", NONE, OURS, false}, {"server, on", OURS, NONE, true},
	{"client, on", NONE, OURS, true},
};
static constexpr size_t MODES = sizeof(modes) / sizeof(modes[0]);

static double cpu_ns()
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

/* CPU per call of a round. */
static double measure(greeter::Greeter::Stub *stub, bool on, int calls)
{
	greeter::HelloRequest request;
	greeter::HelloReply reply;
	double begin;

	request.set_name("a name as long as a name may well be, so sixty-four bytes in all");
	rpcprof_enable(on);
	begin = cpu_ns();
	for (int i = 0; i < calls; i++) {
		grpc::ClientContext context;

		if (!stub->SayHello(&context, request, &reply).ok())
			exit(1);
	}
	return (cpu_ns() - begin) / calls;
}

/* The median and, by the binomial distribution, the values that it lies between in 95 % of cases. */
static void print(const Mode &mode, std::vector<double> &values)
{
	size_t n = values.size();
	size_t reach = static_cast<size_t>(0.98 * std::sqrt(static_cast<double>(n))) + 1;

	std::sort(values.begin(), values.end());
	printf("%-13s %9.0f ns  [%.0f, %.0f]\n", mode.name, values[n / 2],
	       values[n / 2 > reach ? n / 2 - reach : 0], values[std::min(n / 2 + reach, n - 1)]);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 60, calls = argc > 2 ? atoi(argv[2]) : 1000;
	std::vector<double> values[MODES];

	if (rounds < 1 || calls < 1 || rpcprof_init(nullptr) != 0)
		return 2;
	Side sides[] = {Side(NONE), Side(EMPTY), Side(OURS)};
	for (int round = -1; round < rounds; round++) {
		double ns[MODES];

		for (size_t i = 0; i < MODES; i++) {
			const Mode &mode = modes[(i + static_cast<size_t>(round + 1)) % MODES];

			ns[&mode - modes] = measure(sides[mode.server].stubs[mode.client].get(),
			                            mode.on, calls);
		}
		for (size_t i = 0; i < MODES && round >= 0; i++)
			values[i].push_back(i == 0 ? ns[0] : ns[i] - ns[0]);
	}
	printf("CPU per call of both sides without interceptors, and what each mode adds\n");
	for (size_t i = 0; i < MODES; i++)
		print(modes[i], values[i]);
	return 0;
}
