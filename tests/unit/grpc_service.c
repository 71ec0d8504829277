/* SPDX-License-Identifier: Apache-2.0 */
/* The services on gRPC core: who gets in, and what is in the way. */
#include "tests/unit/grpc_service_client.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "rpc/grpc_service_internal.h"

Test(grpc_service, a_socket_is_this_users_alone_whatever_the_umask, HERE)
{
	char path[256], own[32];
	struct stat stat;

	umask(0);
	cr_assert_eq(rpcprof_grpc_service_open(NULL, &service), 0, "%s", last_log);
	snprintf(path, sizeof(path), "%s", rpcprof_grpc_service_address(service) + 5);
	snprintf(own, sizeof(own), "/rpcprof/%d.", getpid());
	cr_assert_not_null(strstr(path, own), "%s", path);
	cr_assert_eq(lstat(path, &stat), 0);
	cr_assert(S_ISSOCK(stat.st_mode));
	cr_assert_eq(stat.st_mode & 0777, 0600);
	*strrchr(path, '/') = '\0';
	cr_assert_eq(lstat(path, &stat), 0);
	cr_assert_eq(stat.st_mode & 0777, 0700);
	cr_assert_eq(ask_service(OURS "Status", NULL), GRPC_STATUS_OK);
	snprintf(path, sizeof(path), "%s", rpcprof_grpc_service_address(service) + 5);
	stop();
	cr_assert_eq(lstat(path, &stat), -1);
}

Test(grpc_service, answers_are_what_the_service_says, HERE)
{
	char *large = calloc(1, 20000);
	struct client client;

	record_many(8000);
	cr_assert_eq(open_at("127.0.0.1:0"), 0, "%s", last_log);
	client_open(&client, rpcprof_grpc_service_address(service));
	cr_assert_eq(ask_on(&client, OURS "Snapshot", NULL, "", 0), GRPC_STATUS_OK);
	cr_assert_gt(client.messages, 1);
	cr_assert_gt(client.bytes, 1u << 20);
	cr_assert_eq(ask_on(&client, OURS "Nothing", NULL, "", 0), GRPC_STATUS_UNIMPLEMENTED);
	cr_assert_eq(ask_on(&client, "/a.B/C", NULL, large, 20000), GRPC_STATUS_UNIMPLEMENTED);
	cr_assert_eq(ask_on(&client, OURS "Enable", NULL, "\x0a\x7f", 2),
	             GRPC_STATUS_INVALID_ARGUMENT);
	cr_assert_eq(ask_on(&client, OURS "Status", NULL, large, 20000),
	             GRPC_STATUS_RESOURCE_EXHAUSTED);
	cr_assert_eq(ask_on(&client, GO "GetStreamStats", NULL, "", 0), GRPC_STATUS_OK);
	cr_assert_eq(client.messages, 1);
	client_close(&client);
	free(large);
	stop();
}

Test(grpc_service, tokens_say_who_may, HERE)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config),
	                                             .address = "127.0.0.1:0",
	                                             .tokens = {READ, CONTROL}};

	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), 0, "%s", last_log);
	cr_assert_eq(ask_service(OURS "Status", NULL), GRPC_STATUS_UNAUTHENTICATED);
	cr_assert_eq(ask_service(OURS "Status", "wrong-wrong-wrong-wrong"),
	             GRPC_STATUS_UNAUTHENTICATED);
	cr_assert_eq(ask_service(OURS "Status", READ), GRPC_STATUS_OK);
	cr_assert_eq(ask_service(OURS "Enable", READ), GRPC_STATUS_PERMISSION_DENIED);
	cr_assert(rpcprof_enabled());
	cr_assert_eq(ask_service(OURS "Enable", CONTROL), GRPC_STATUS_OK);
	cr_assert_not(rpcprof_enabled()); /* an empty message says false */
	stop();
}

Test(grpc_service, off_the_machine_nobody_by_default, HERE)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config),
	                                             .address = "0.0.0.0:0"};

	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), -EINVAL);
	cr_assert(logged("takes tokens"), "%s", last_log);
	config.tokens.control = CONTROL;
	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), -EINVAL);
	cr_assert(logged("takes TLS"), "%s", last_log);
	config.insecure_plaintext_token = 1;
	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), 0, "%s", last_log);
	stop();
}

Test(grpc_service, what_cannot_be_meant_is_refused, HERE)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config),
	                                             .tokens = {READ, READ}};

	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), -EINVAL);
	config.tokens.read = "short";
	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), -EINVAL);
	config = (struct rpcprof_grpc_service_config){.size = sizeof(config), .answer_max = 1};
	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), -EINVAL);
	cr_assert_eq(open_at("nonsense"), -EINVAL);
	cr_assert_eq(open_at("127.0.0.1:"), -EINVAL);
	cr_assert_eq(open_at("unix:relative"), -EINVAL);
	cr_assert_eq(open_at("unix-abstract:"), -EINVAL);
	config = (struct rpcprof_grpc_service_config){.size = 1};
	cr_assert_eq(rpcprof_grpc_service_open(&config, &service), -EINVAL);
}

/* A socket file; *file keeps it alive. */
static const char *make_socket(const char *name, int *file)
{
	static char path[200];
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	strcpy(address.sun_path, path);
	*file = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(*file, (struct sockaddr *)&address, sizeof(address)), 0);
	cr_assert_eq(listen(*file, 1), 0);
	return path;
}

static int open_path(const char *path)
{
	char address[320];

	snprintf(address, sizeof(address), "unix:%s", path);
	return open_at(address);
}

Test(grpc_service, what_is_in_the_way_is_told_apart_and_left_alone, HERE)
{
	char path[200], longer[300];
	struct stat stat;
	int file;

	snprintf(path, sizeof(path), "%s", make_socket("socket", &file));
	cr_assert_eq(open_path(path), -EADDRINUSE);
	cr_assert(logged("another process listens"), "%s", last_log);
	close(file);
	cr_assert_eq(open_path(path), -EEXIST);
	cr_assert(logged("nobody listens"), "%s", last_log);
	cr_assert_eq(lstat(path, &stat), 0);
	if (geteuid() == 0) { /* else there is no way to make one */
		cr_assert_eq(chown(path, 65534, 65534), 0);
		cr_assert_eq(open_path(path), -EPERM);
		cr_assert(logged("another user"), "%s", last_log);
		cr_assert_eq(lstat(path, &stat), 0);
	}
	snprintf(path, sizeof(path), "%s/file", directory);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	cr_assert_eq(open_path(path), -EPERM);
	cr_assert(logged("no socket"), "%s", last_log);
	cr_assert_eq(lstat(path, &stat), 0);
	snprintf(longer, sizeof(longer), "%s/%0200d", directory, 0);
	cr_assert_eq(open_path(longer), -ENAMETOOLONG);
	cr_assert(logged("107 bytes"), "%s", last_log);
}

Test(grpc_service, a_directory_that_others_may_enter_is_not_taken, HERE)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/rpcprof", directory);
	cr_assert_eq(mkdir(path, 0700), 0);
	cr_assert_eq(chmod(path, 0755), 0);
	cr_assert_eq(rpcprof_grpc_service_open(NULL, &service), -EPERM);
	cr_assert(logged("closed to all others"), "%s", last_log);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(symlink(directory, path), 0);
	cr_assert_eq(rpcprof_grpc_service_open(NULL, &service), -EPERM);
}

Test(grpc_service, a_socket_put_in_place_of_ours_is_left_alone, HERE)
{
	char path[200];
	struct stat stat;
	int file;

	snprintf(path, sizeof(path), "%s/socket", directory);
	cr_assert_eq(open_path(path), 0, "%s", last_log);
	cr_assert_eq(unlink(path), 0);
	make_socket("socket", &file);
	stop();
	cr_assert_eq(lstat(path, &stat), 0);
	close(file);
}

/* Whether the other end closes the connection without a word. */
static bool is_closed(int file)
{
	char byte;

	return read(file, &byte, 1) <= 0;
}

Test(grpc_service, an_abstract_name_asks_who_connects, HERE, .timeout = 60)
{
	struct sockaddr_un address;
	char name[160];
	socklen_t length;
	int status;
	pid_t child;

	name_abstract(&address, &length);
	snprintf(name, sizeof(name), "unix-abstract:%s", address.sun_path + 1);
	cr_assert_eq(open_at(name), 0, "%s", last_log);
	cr_assert_eq(ask_service(OURS "Status", NULL), GRPC_STATUS_OK);
	if (geteuid() == 0) { /* else there is nobody else to be */
		child = fork();
		if (child == 0) { /* by a signal: at an exit valgrind takes what threads held for lost */
			if (setuid(65534) == 0 && is_closed(connect_to(&address, length)))
				raise(SIGKILL);
			_exit(1);
		}
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert(WIFSIGNALED(status));
		cr_assert(logged("user 65534 was refused"), "%s", last_log);
	}
	cr_assert_eq(open_at(name), -EADDRINUSE);
	stop();
}

Test(grpc_service, connections_are_so_many_and_no_more, HERE, .timeout = 60)
{
	struct sockaddr_un address;
	char name[160];
	int files[32];
	socklen_t length;

	name_abstract(&address, &length);
	snprintf(name, sizeof(name), "unix-abstract:%s", address.sun_path + 1);
	cr_assert_eq(open_at(name), 0, "%s", last_log);
	for (int i = 0; i < 32; i++)
		files[i] = connect_to(&address, length);
	for (int i = 0; i < 32; i++) { /* core's first words: each was taken */
		char byte;

		cr_assert_eq(read(files[i], &byte, 1), 1);
	}
	/* One more waits until another goes. */
	struct client client;
	gpr_timespec soon = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                                 gpr_time_from_millis(300, GPR_TIMESPAN));
	client_open(&client, name);
	(void)grpc_channel_check_connectivity_state(client.channel, 1);
	gpr_sleep_until(soon);
	cr_assert_neq(grpc_channel_check_connectivity_state(client.channel, 1), GRPC_CHANNEL_READY);
	for (int i = 0; i < 32; i++)
		close(files[i]);
	client_close(&client);
	cr_assert_eq(ask_at(name, OURS "Status", NULL), GRPC_STATUS_OK);
	stop();
}

/* The type of the next frame; its payload is skipped. */
static int next_frame(int file, size_t *length)
{
	uint8_t header[9], byte;

	cr_assert_eq(recv(file, header, sizeof(header), MSG_WAITALL), (ssize_t)sizeof(header));
	*length = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
	for (size_t i = 0; i < *length; i++)
		cr_assert_eq(recv(file, &byte, 1, MSG_WAITALL), 1);
	return header[3];
}

Test(grpc_service, who_takes_nothing_is_cut_off, HERE, .timeout = 60)
{
	struct sockaddr_un address;
	char name[160];
	socklen_t length;
	size_t received = 0, frame;
	int file, type;

	rpcprof_grpc_service_send_ns = 200000000;
	record_many(8000);
	name_abstract(&address, &length);
	snprintf(name, sizeof(name), "unix-abstract:%s", address.sun_path + 1);
	cr_assert_eq(open_at(name), 0, "%s", last_log);
	file = connect_to(&address, length);
	ask_by_hand(file);
	while ((type = next_frame(file, &frame)) != 3) /* the stream is reset */
		received += type == 0 ? frame : 0;
	cr_assert_gt(received, 0);
	cr_assert_leq(received, 65535);
	close(file);
	cr_assert_eq(ask_at(name, OURS "Snapshot", NULL), GRPC_STATUS_OK);
	stop();
}
