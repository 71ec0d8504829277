/* SPDX-License-Identifier: Apache-2.0 */
/* The services on gRPC core: who gets in, what is in the way, how it ends. */
#include "tests/unit/service_harness.h"

#include <fcntl.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#if __has_include(<grpc/credentials.h>)
#include <grpc/credentials.h>
#else
#include <grpc/grpc_security.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "rpc/grpc_service_internal.h"

#define READ "the-token-to-read-with"
#define CONTROL "the-token-to-control-with"
#define STOP_MS 20000

static char last_log[512];

static void keep_log(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	snprintf(last_log, sizeof(last_log), "%s", message);
}

static char directory[64];

/* A directory of the test's own, for sockets; $XDG_RUNTIME_DIR too. */
static void start_here(void)
{
	struct rpcprof_config config = {.size = sizeof(config), .log = keep_log};

	strcpy(directory, "/tmp/rpcprof-service-XXXXXX");
	cr_assert_not_null(mkdtemp(directory));
	setenv("XDG_RUNTIME_DIR", directory, 1);
	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	grpc_init();
}

static void end_here(void)
{
	char command[128];

	grpc_shutdown();
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	cr_assert_eq(system(command), 0);
}

static struct rpcprof_grpc_service *service;

static int open_at(const char *address)
{
	struct rpcprof_grpc_service_config config = {.size = sizeof(config), .address = address};

	return rpcprof_grpc_service_open(&config, &service);
}

static void stop(void)
{
	cr_assert_eq(rpcprof_grpc_service_stop(service, STOP_MS), 0);
	service = NULL;
}

/* A client: one call at a time, that blocks. */

struct client {
	grpc_channel *channel;
	grpc_completion_queue *queue;
	grpc_call *call;
	grpc_metadata_array header, trailer;
	grpc_status_code status;
	grpc_slice details;
	unsigned messages;
	size_t bytes;
};

static void client_open(struct client *client, const char *address)
{
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();

	memset(client, 0, sizeof(*client));
	client->channel = grpc_channel_create(address, credentials, NULL);
	client->queue = grpc_completion_queue_create_for_pluck(NULL);
	grpc_channel_credentials_release(credentials);
}

static void client_close(struct client *client)
{
	grpc_channel_destroy(client->channel);
	grpc_completion_queue_shutdown(client->queue);
	grpc_completion_queue_destroy(client->queue);
}

static void batch(struct client *client, const grpc_op *ops, size_t nops)
{
	cr_assert_eq(grpc_call_start_batch(client->call, ops, nops, client, NULL), GRPC_CALL_OK);
	grpc_completion_queue_pluck(client->queue, client, gpr_inf_future(GPR_CLOCK_MONOTONIC),
	                            NULL);
}

static void send_request(struct client *client, const char *token, const void *bytes, size_t length)
{
	char bearer[128];
	grpc_metadata metadata;
	grpc_slice slice = grpc_slice_from_copied_buffer(bytes, length);
	grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
	grpc_op ops[4];

	snprintf(bearer, sizeof(bearer), "Bearer %s", token != NULL ? token : "");
	memset(&metadata, 0, sizeof(metadata));
	metadata.key = grpc_slice_from_static_string("authorization");
	metadata.value = grpc_slice_from_copied_string(bearer);
	memset(ops, 0, sizeof(ops));
	ops[0].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[0].data.send_initial_metadata.count = token != NULL;
	ops[0].data.send_initial_metadata.metadata = &metadata;
	ops[1].op = GRPC_OP_SEND_MESSAGE;
	ops[1].data.send_message.send_message = message;
	ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
	ops[3].data.recv_initial_metadata.recv_initial_metadata = &client->header;
	batch(client, ops, 4);
	grpc_byte_buffer_destroy(message);
	grpc_slice_unref(slice);
	grpc_slice_unref(metadata.value);
}

static bool receive_message(struct client *client)
{
	grpc_byte_buffer *message = NULL;
	grpc_op op;

	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &message;
	batch(client, &op, 1);
	if (message == NULL)
		return false;
	client->messages++;
	client->bytes += grpc_byte_buffer_length(message);
	grpc_byte_buffer_destroy(message);
	return true;
}

static void call_open(struct client *client, const char *method)
{
	gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
	                                     gpr_time_from_seconds(20, GPR_TIMESPAN));
	grpc_slice path = grpc_slice_from_copied_string(method);

	client->messages = 0;
	client->bytes = 0;
	grpc_metadata_array_init(&client->header);
	grpc_metadata_array_init(&client->trailer);
	client->call = grpc_channel_create_call(client->channel, NULL, 0, client->queue,
	                                        path, NULL, deadline, NULL);
	grpc_slice_unref(path);
}

static grpc_status_code call_close(struct client *client)
{
	grpc_op op;

	while (receive_message(client))
		;
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op.data.recv_status_on_client.trailing_metadata = &client->trailer;
	op.data.recv_status_on_client.status = &client->status;
	op.data.recv_status_on_client.status_details = &client->details;
	batch(client, &op, 1);
	grpc_call_unref(client->call);
	grpc_slice_unref(client->details);
	grpc_metadata_array_destroy(&client->header);
	grpc_metadata_array_destroy(&client->trailer);
	return client->status;
}

static grpc_status_code ask_on(struct client *client, const char *method, const char *token,
                               const void *bytes, size_t length)
{
	call_open(client, method);
	send_request(client, token, bytes, length);
	return call_close(client);
}

static grpc_status_code ask_at(const char *address, const char *method, const char *token)
{
	struct client client;

	client_open(&client, address);
	ask_on(&client, method, token, "", 0);
	client_close(&client);
	return client.status;
}

static grpc_status_code ask_service(const char *method, const char *token)
{
	return ask_at(rpcprof_grpc_service_address(service), method, token);
}

#define HERE .init = start_here, .fini = end_here

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

static bool logged(const char *part)
{
	return strstr(last_log, part) != NULL;
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

static void name_abstract(struct sockaddr_un *address, socklen_t *length)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	                      (size_t)snprintf(address->sun_path + 1, 64, "rpcprof-%d", getpid()));
}

static int connect_to(const struct sockaddr_un *address, socklen_t length)
{
	int file = socket(AF_UNIX, SOCK_STREAM, 0);

	cr_assert_eq(connect(file, (const struct sockaddr *)address, length), 0);
	return file;
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

/* HTTP/2 by hand: a client that asks, and then gives no leave to send more than 64 KiB. */

static void put_frame(int file, uint8_t type, uint8_t flags, const void *payload, size_t length)
{
	uint8_t header[9] = {0, (uint8_t)(length >> 8), (uint8_t)length, type, flags, 0, 0, 0,
	                     type == 4 ? 0 : 1 /* stream; 0 for settings */};

	cr_assert_eq(write(file, header, sizeof(header)), (ssize_t)sizeof(header));
	cr_assert_eq(write(file, payload, length), (ssize_t)length);
}

static void ask_by_hand(int file)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
	/* POST, http, path, authority, te, content-type: no indexing, no Huffman codes */
	static const char headers[] = "\x83\x86"
				      "\x04\x1e/rpcprof.v1.Profiling/Snapshot"
				      "\x01\x01x"
				      "\x00\x02te\x08trailers"
				      "\x0f\x10\x10" "application/grpc";

	cr_assert_eq(write(file, preface, sizeof(preface) - 1), (ssize_t)sizeof(preface) - 1);
	put_frame(file, 4, 0, "", 0);
	put_frame(file, 1, 4, headers, sizeof(headers) - 1);
	put_frame(file, 0, 1, "\0\0\0\0\0", 5);
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

/* Calls under way, and how it ends then. */

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

Test(grpc_service, it_stops_with_calls_under_way, HERE, .timeout = 60)
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

Test(grpc_service, it_stops_whatever_peers_do, HERE, .timeout = 60)
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

Test(grpc_service, it_stops_after_the_programs_own_shutdown, HERE)
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

Test(grpc_service, it_stops_from_atexit, .init = start_here, .exit_code = 0)
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

Test(grpc_service, a_server_of_the_users_serves_it_too, HERE, .timeout = 60)
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

Test(grpc_service, a_server_of_the_users_with_tokens_takes_them, HERE, .timeout = 60)
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

/* All signals are blocked in our threads. */
Test(grpc_service, threads_take_no_signals, HERE)
{
	char path[64], line[256];
	unsigned ours = 0;

	cr_assert_eq(rpcprof_grpc_service_open(NULL, &service), 0, "%s", last_log);
	cr_assert_eq(ask_service(OURS "Status", NULL), GRPC_STATUS_OK);
	for (int tid = getpid(); tid < getpid() + 200; tid++) {
		unsigned long long blocked = 0;
		bool is_ours = false;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
		file = fopen(path, "r");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
			is_ours = is_ours || strcmp(line, "Name:\trpcprof-ctl\n") == 0 ||
			          strcmp(line, "Name:\trpcprof-accept\n") == 0;
			sscanf(line, "SigBlk: %llx", &blocked);
		}
		if (file != NULL)
			fclose(file);
		if (!is_ours)
			continue;
		ours++;
		cr_assert_neq(blocked & 1ull << (SIGTERM - 1), 0);
		cr_assert_neq(blocked & 1ull << (SIGUSR1 - 1), 0);
	}
	cr_assert_eq(ours, 2);
	stop();
}
