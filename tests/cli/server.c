/* SPDX-License-Identifier: Apache-2.0 */
/* A process to ask: serves at the address given, or a private one, says where, and records calls
 * until its standard input ends. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <poll.h>

#include "rpcprof/grpc_service.h"
#include "rpcprof/rpcprof.h"

static uint32_t stages[2], method;

static void call(void)
{
	const struct timespec stage_time = {0, 200000};
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	rpcprof_stat_set_method(stat, method);
	for (int i = 0; i < 2; i++) {
		struct rpcprof_timer timer = rpcprof_timer_begin(stat, stages[i]);
		nanosleep(&stage_time, NULL);
		rpcprof_timer_end(timer);
	}
	rpcprof_stat_set_status(stat, 0);
	rpcprof_stat_end(stat);
}

int main(int argc, char **argv)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config)};
	struct pollfd input = {STDIN_FILENO, POLLIN, 0};
	struct rpcprof_grpc_service *service;
	struct rpcprof_stat waiting;

	if (argc > 1)
		config.address = argv[1];
	if (argc > 2)
		config.tokens.read = argv[2];
	if (argc > 3)
		config.tokens.control = argv[3];
	config.insecure_plaintext_token = argc > 2;
	if (rpcprof_init(NULL) != 0 || rpcprof_grpc_service_open(&config, &service) != 0)
		return 1;
	method = rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/test.Greeter/Hello", (size_t)-1);
	stages[0] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/decode", (size_t)-1);
	stages[1] = rpcprof_tag_intern(RPCPROF_TAG_STAGE, "/handler", (size_t)-1);
	puts(rpcprof_grpc_service_address(service));
	fflush(stdout);
	rpcprof_enable(true);
	waiting = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_set_method(waiting, method);
	rpcprof_lap(waiting, stages[1]);
	rpcprof_enable(false);
	while (poll(&input, 1, 1) == 0)
		call();
	rpcprof_stat_end(waiting);
	return rpcprof_grpc_service_stop(service, 10000) == 0 ? 0 : 1;
}
