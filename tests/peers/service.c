/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service CERTIFICATE KEY CA: a process with 1000 calls recorded, that is asked at four addresses
 * until its standard input ends: a private socket, TCP with tokens, TLS, mutual TLS. One more call for
 * each byte that comes there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "rpcprof/call.h"
#include "rpcprof/rpcprof.h"
#include "serve.h"

#define CALLS 1000

static void record(unsigned i)
{
	struct rpcprof_call call;

	rpcprof_call_begin(&call, i % 2 != 0 ? RPCPROF_TAG_SERVER : RPCPROF_TAG_CLIENT);
	rpcprof_call_set_method(&call, rpcprof_call_declare_method("/shop.Cart/Get", (size_t)-1));
	rpcprof_call_set_connection(&call, 77);
	rpcprof_lap(rpcprof_call_stat(&call), RPCPROF_TAG("/decode"));
	rpcprof_lap(rpcprof_call_stat(&call), RPCPROF_TAG("/handler"));
	rpcprof_call_set_status(&call, i % 10 == 0 ? 5 : 0);
	rpcprof_call_end(&call);
}

static struct serve *open_service(const char *name,
                                  const struct rpcprof_grpc_service_config *config)
{
	struct serve *serve = serve_open(config);

	if (serve == NULL) {
		fprintf(stderr, "%s: it cannot be served\n", name);
		exit(EXIT_FAILURE);
	}
	printf("%s %s\n", name, serve_address(serve));
	return serve;
}

int main(int argc, char **argv)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config)};
	struct serve *services[4];
	struct rpcprof_stat in_flight;
	unsigned calls = 0;
	int status = 0;

	if (argc != 4 || rpcprof_init(NULL) != 0 || rpcprof_enable(true) != 0)
		return EXIT_FAILURE;
	for (; calls < CALLS; calls++)
		record(calls);
	in_flight = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	services[0] = open_service("private", &config);
	config.address = "127.0.0.1:0";
	config.tokens.read = "the-token-to-read-with";
	config.tokens.control = "the-token-to-control-with";
	services[1] = open_service("tokens", &config);
	config.address = "localhost:0";
	config.tls_certificate_file = argv[1];
	config.tls_key_file = argv[2];
	services[2] = open_service("tls", &config);
	config.tls_client_ca_file = argv[3];
	services[3] = open_service("mutual", &config);
	fflush(stdout);
	for (; getchar() != EOF; calls++)
		record(calls);
	rpcprof_stat_end(in_flight);
	for (unsigned i = 0; i < 4; i++)
		status |= serve_stop(services[i]);
	rpcprof_fini();
	return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
