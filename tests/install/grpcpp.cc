/* SPDX-License-Identifier: Apache-2.0 */
/* A user's service in C++: the header and the two lines that have it recorded. */
#include <grpcpp/grpcpp.h>
#include <rpcprof/grpcpp.hpp>

int main()
{
	grpc::ServerBuilder builder;

	if (rpcprof_init(nullptr) != 0 || rpcprof_enable(true) != 0)
		return 1;
	builder.experimental().SetInterceptorCreators(rpcprof::server_interceptors());
	return rpcprof::client_interceptors().size() == 1 ? 0 : 2;
}
