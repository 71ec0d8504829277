/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "rpcprof/grpcpp_service.hpp"

struct serve {
	rpcprof::ProfilingService profiling;
	std::string address;
	std::unique_ptr<grpc::Server> server;
};

static std::string read_file(const char *path)
{
	std::ifstream file(path);

	return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

static std::shared_ptr<grpc::ServerCredentials>
credentials_of(const struct rpcprof_grpc_service_config *config)
{
	grpc::SslServerCredentialsOptions tls;

	if (config->tls_key_file == nullptr)
		return grpc::InsecureServerCredentials();
	if (config->tls_client_ca_file != nullptr) {
		tls.client_certificate_request =
			GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
		tls.pem_root_certs = read_file(config->tls_client_ca_file);
	}
	tls.pem_key_cert_pairs.push_back(
		{read_file(config->tls_key_file), read_file(config->tls_certificate_file)});
	return grpc::SslServerCredentials(tls);
}

/* Private: a Unix socket in the directory where it runs. */
static std::string address_of(const struct rpcprof_grpc_service_config *config)
{
	char here[4096];

	if (config->address != nullptr)
		return config->address;
	return getcwd(here, sizeof(here)) != nullptr ? "unix:" + std::string(here) + "/private" : "";
}

struct serve *serve_open(const struct rpcprof_grpc_service_config *config)
{
	auto text = [](const char *token) { return token != nullptr ? token : ""; };
	grpc::ServerBuilder builder;
	int port = 0;
	auto made = std::unique_ptr<struct serve>(new (struct serve){
		rpcprof::ProfilingService({text(config->tokens.read), text(config->tokens.control)}),
		address_of(config), nullptr});

	builder.AddListeningPort(made->address, credentials_of(config), &port);
	builder.RegisterService(&made->profiling);
	made->server = builder.BuildAndStart();
	if (made->address.back() == '0')
		made->address.replace(made->address.size() - 1, 1, std::to_string(port));
	return made->server ? made.release() : nullptr;
}

const char *serve_address(const struct serve *serve)
{
	return serve->address.c_str();
}

int serve_stop(struct serve *serve)
{
	serve->profiling.stop();
	serve->server->Shutdown();
	delete serve;
	return 0;
}
