/* SPDX-License-Identifier: Apache-2.0 */
/* The services on gRPC core: calls under way, how it ends then, and on a server of the user's. */
#include "tests/unit/grpc_service_client.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>

static void *ask_for_a_long_profile(void *arg)
{
	Rpcprof__V1__ProfileRequest request = RPCPROF__V1__PROFILE_REQUEST__INIT;
	grpc_status_code *status = arg;
	struct client client;
	uint8_t bytes[32];

	request.duration_ns = 3600000000000;
	client_open(&client, rpcprof_grpc_service_address(service));
	*status = ask_on(&client, OURS "Profile", NULL, bytes,
	                 rpcprof__v1__profile_request__pack(&request, bytes));
	client_close(&client);
	return NULL;
}

static void await_begun(uint64_t count)
{
	Rpcprof__V1__StatusResponse *status;
	uint64_t begun;

	do {
		usleep(20000);
		status = ask_status();
		begun = status->requests->begun;
		rpcprof__v1__status_response__free_unpacked(status, NULL);
		count++;
	} while (begun < count);
}

Test(grpc_service_end, it_stops_with_calls_under_way, HERE, .timeout = 60)
{
	grpc_status_code status = GRPC_STATUS_OK;
	pthread_t thread;

	cr_assert_eq(open_at("127.0.0.1:0"), 0, "%s", last_log);
	pthread_create(&thread, NULL, ask_for_a_long_profile, &status);
	await_begun(1);
	stop();
	pthread_join(thread, NULL);
	cr_assert_neq(status, GRPC_STATUS_OK);
}

Test(grpc_service_end, it_stops_whatever_peers_do, HERE, .timeout = 60)
{
	struct sockaddr_un address;
	char name[160], byte;
	socklen_t length;
	int file;

	name_abstract(&address, &length);
	snprintf(name, sizeof(name), "unix-abstract:%s", address.sun_path + 1);
	cr_assert_eq(open_at(name), 0, "%s", last_log);
	record_many(8000);
	file = connect_to(&address, length);
	ask_by_hand(file); /* a call that stays under way, on a connection that answers nothing */
	cr_assert_eq(read(file, &byte, 1), 1);
	await_begun(0);
	cr_assert_eq(rpcprof_grpc_service_stop(service, 10000), 0);
	close(file);
}

Test(grpc_service_end, it_stops_after_the_programs_own_shutdown, HERE)
{
	cr_assert_eq(open_at("127.0.0.1:0"), 0, "%s", last_log);
	cr_assert_eq(ask_service(OURS "Status", NULL), GRPC_STATUS_OK);
	grpc_shutdown();
	stop();
	grpc_init(); /* for the end of the test */
}

static void stop_at_exit(void)
{
	if (rpcprof_grpc_service_stop(service, STOP_MS) != 0)
		_exit(2);
}

Test(grpc_service_end, it_stops_from_atexit, .init = start_here, .exit_code = 0)
{
	cr_assert_eq(open_at("127.0.0.1:0"), 0, "%s", last_log);
	cr_assert_eq(ask_service(OURS "Status", NULL), GRPC_STATUS_OK);
	atexit(stop_at_exit);
	grpc_shutdown();
	exit(0);
}

/* A server of the user's, which has a method of its own. */

struct user {
	grpc_server *server;
	grpc_completion_queue *queue;
	char address[32];
};

static void user_open(struct user *user)
{
	grpc_server_credentials *credentials = grpc_insecure_server_credentials_create();

	user->queue = grpc_completion_queue_create_for_next(NULL);
	user->server = grpc_server_create(NULL, NULL);
	grpc_server_register_completion_queue(user->server, user->queue, NULL);
	snprintf(user->address, sizeof(user->address), "127.0.0.1:%d",
	         grpc_server_add_http2_port(user->server, "127.0.0.1:0", credentials));
	grpc_server_credentials_release(credentials);
}

static void user_close(struct user *user)
{
	grpc_server_shutdown_and_notify(user->server, user->queue, NULL);
	grpc_completion_queue_shutdown(user->queue);
	while (grpc_completion_queue_next(user->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL)
	               .type != GRPC_QUEUE_SHUTDOWN)
		;
}

Test(grpc_service_end, a_server_of_the_users_serves_it_too, HERE, .timeout = 60)
{
	struct rpcprof_grpc_service *again = NULL;
	struct user user;

	user_open(&user);
	cr_assert_eq(rpcprof_grpc_server_start(user.server, NULL, &service), 0, "%s", last_log);
	cr_assert_eq(rpcprof_grpc_server_start(user.server, NULL, &again), -EEXIST);
	cr_assert_null(again);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(ask_at(user.address, OURS "Status", NULL), GRPC_STATUS_OK);
	cr_assert_eq(ask_at(user.address, GO "GetStreamStats", NULL), GRPC_STATUS_OK);
	cr_assert_str_eq(rpcprof_grpc_service_address(service), "");
	cr_assert_eq(rpcprof_grpc_service_stop(service, 10), -ETIMEDOUT);
	user_close(&user);
	stop();
	grpc_server_destroy(user.server);
	grpc_completion_queue_destroy(user.queue);
}

Test(grpc_service_end, a_server_of_the_users_with_tokens_takes_them, HERE, .timeout = 60)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config),
	                                             .tokens = {READ, CONTROL}};
	struct user user;

	user_open(&user);
	cr_assert_eq(rpcprof_grpc_server_start(user.server, &config, &service), 0, "%s", last_log);
	cr_assert_eq(ask_at(user.address, OURS "Status", NULL), GRPC_STATUS_UNAUTHENTICATED);
	cr_assert_eq(ask_at(user.address, OURS "Status", READ), GRPC_STATUS_OK);
	cr_assert_eq(ask_at(user.address, OURS "Enable", READ), GRPC_STATUS_PERMISSION_DENIED);
	user_close(&user);
	grpc_server_destroy(user.server); /* before or after: both end clean */
	stop();
	grpc_completion_queue_destroy(user.queue);
}

/* Whether a thread is one of ours, and if so, which signals it blocks. */
static bool is_ours(const char *tid, unsigned long long *blocked)
{
	char path[300], line[256];
	bool ours = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		ours = ours || strcmp(line, "Name:\trpcprof-ctl\n") == 0 ||
		       strcmp(line, "Name:\trpcprof-accept\n") == 0;
		sscanf(line, "SigBlk: %llx", blocked);
	}
	if (file != NULL)
		fclose(file);
	return ours;
}

/* All signals are blocked in our threads. */
Test(grpc_service_end, threads_take_no_signals, HERE)
{
	const struct dirent *task;
	unsigned ours = 0;
	DIR *tasks;

	cr_assert_eq(rpcprof_grpc_service_open(NULL, &service), 0, "%s", last_log);
	tasks = opendir("/proc/self/task");
	while ((task = readdir(tasks)) != NULL) {
		unsigned long long blocked = 0;

		if (!is_ours(task->d_name, &blocked))
			continue;
		ours++;
		cr_assert_neq(blocked & 1ull << (SIGTERM - 1), 0);
		cr_assert_neq(blocked & 1ull << (SIGUSR1 - 1), 0);
	}
	closedir(tasks);
	cr_assert_eq(ours, 2);
	stop();
}
