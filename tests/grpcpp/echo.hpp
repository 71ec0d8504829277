/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ECHO_HPP
#define ECHO_HPP

/* The echo service, and a client for it, over loopback TCP, with the two lines that record them. */
#include "echo_clients.hpp"
#include "echo_services.hpp"

enum class Way { SYNC, CALLBACK, ASYNC };

/* A server in one way, and a channel to it. */
class EchoServer final {
public:
	explicit EchoServer(Way way) : way_(way)
	{
		grpc::ServerBuilder builder;

		builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
		builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
		if (way == Way::SYNC)
			builder.RegisterService(&sync_);
		else if (way == Way::CALLBACK)
			builder.RegisterService(&callback_);
		else
			async_.add_to(builder);
		server_ = builder.BuildAndStart();
		if (way == Way::ASYNC)
			async_.start();
		channel_ = grpc::experimental::CreateCustomChannelWithInterceptors(
			"127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials(),
			grpc::ChannelArguments(), rpcprof::client_interceptors());
	}

	~EchoServer()
	{
		/* The deadline is that of calls that a test left behind. */
		server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
		if (way_ == Way::ASYNC)
			async_.stop();
	}

	int port() const
	{
		return port_;
	}

	const std::shared_ptr<grpc::Channel> &channel() const
	{
		return channel_;
	}

private:
	const Way way_;
	int port_ = 0;
	SyncEcho sync_;
	CallbackEcho callback_;
	AsyncEcho async_;
	std::unique_ptr<grpc::Server> server_;
	std::shared_ptr<grpc::Channel> channel_;
};

inline std::unique_ptr<EchoClient> echo_client(Way way, const EchoServer &server)
{
	if (way == Way::SYNC)
		return std::make_unique<SyncClient>(server.channel());
	if (way == Way::CALLBACK)
		return std::make_unique<CallbackClient>(server.channel());
	return std::make_unique<AsyncClient>(server.channel());
}

#endif
