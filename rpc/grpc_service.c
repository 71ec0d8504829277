/* SPDX-License-Identifier: Apache-2.0 */
/* The Profiling services on gRPC core: what serves them, and its thread. */
#include "rpcprof/grpc_service.h"

#include <errno.h>
#include <grpc/grpc_security.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc/grpc_service_internal.h"
#include "rpcprof/control.h"
#include "thread_internal.h"

#define PEM_MAX (1u << 20)

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "service: %s", what);
	return -EINVAL;
}

/* The thread. */

static void *serve(void *arg)
{
	struct rpcprof_grpc_service *service = arg;
	grpc_event event = {.type = GRPC_QUEUE_TIMEOUT};
	bool shutting = false;

	pthread_mutex_lock(&service->lock); /* until all is set up */
	pthread_mutex_unlock(&service->lock);
	while (event.type != GRPC_QUEUE_SHUTDOWN) {
		gpr_timespec due = rpcprof_grpc_service_due(service);

		event = grpc_completion_queue_next(service->queue, due, NULL);
		if (event.type == GRPC_OP_COMPLETE)
			rpcprof_grpc_service_event(&event);
		if (service->stopping && service->calls == NULL && !shutting) {
			grpc_completion_queue_shutdown(service->queue);
			shutting = true;
		}
	}
	pthread_mutex_lock(&service->lock);
	service->has_ended = true;
	pthread_cond_signal(&service->ended);
	pthread_mutex_unlock(&service->lock);
	return NULL;
}

/* What configurations say. */

static int check(const struct rpcprof_grpc_service_config *config)
{
	struct rpcprof_counters counters;

	if (config->size != sizeof(*config))
		return refuse("size is not that of struct rpcprof_grpc_service_config");
	if (rpcprof_counters_get(&counters) != 0)
		return -ENODEV;
	if (config->answer_max != 0 && config->answer_max < RPCPROF_ANSWER_MAX_LEAST)
		return refuse("answer_max is less than RPCPROF_ANSWER_MAX_LEAST, 256 KiB");
	if (rpcprof_tokens_validate(&config->tokens) != 0)
		return -EINVAL;
	if ((config->tls_certificate_file == NULL) != (config->tls_key_file == NULL) ||
	    (config->tls_client_ca_file != NULL && config->tls_key_file == NULL))
		return refuse("TLS takes a certificate and its key");
	return 0;
}

static bool is_unix(const char *address)
{
	return address == NULL || strncmp(address, "unix:", 5) == 0 ||
	       strncmp(address, "unix-abstract:", 14) == 0;
}

/* Whether such an address may be served so. 0, or a negative errno, logged. */
static int check_address(const struct rpcprof_grpc_service_config *config)
{
	bool tls = config->tls_key_file != NULL;
	bool tokens = config->tokens.read != NULL || config->tokens.control != NULL;
	int loopback;

	if (is_unix(config->address))
		return tls ? refuse("TLS is for TCP; a Unix socket knows its users") : 0;
	loopback = rpcprof_grpc_address_is_loopback(config->address);
	if (loopback != 0)
		return loopback < 0 ? loopback : 0;
	if (!tokens)
		return refuse("an address that is not loopback takes tokens: set tokens.read, "
		              "tokens.control");
	if (!tls && !config->insecure_plaintext_token)
		return refuse("an address that is not loopback takes TLS: set tls_certificate_file "
		              "and tls_key_file; or insecure_plaintext_token, where something else "
		              "encrypts");
	return 0;
}

/* Open and close. */

static int copy_text(char **to, const char *from)
{
	*to = from != NULL ? strdup(from) : NULL;
	return from != NULL && *to == NULL ? -ENOMEM : 0;
}

static void make_condition(struct rpcprof_grpc_service *service)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&service->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&service->ended, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* Core's own threads, if this is their beginning, take no signals of the program's. */
static void core_begin(void)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	grpc_init();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct rpcprof_grpc_service *make(const struct rpcprof_grpc_service_config *config)
{
	struct rpcprof_grpc_service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		return NULL;
	service->accepter.wake = -1;
	service->accepter.address.file = -1;
	service->answer_max = config->answer_max;
	service->plaintext_token = config->insecure_plaintext_token != 0;
	if (copy_text(&service->read_token, config->tokens.read) != 0 ||
	    copy_text(&service->control_token, config->tokens.control) != 0) {
		free(service->read_token);
		free(service);
		return NULL;
	}
	make_condition(service);
	core_begin();
	service->queue = grpc_completion_queue_create_for_next(NULL);
	return service;
}

/* Tells our server to end, at once: clients that do not listen are not waited for. */
static void shut_down(struct rpcprof_grpc_service *service)
{
	grpc_server_shutdown_and_notify(service->server, service->queue, NULL);
	grpc_server_cancel_all_calls(service->server);
	service->shut_down = true;
}

/* What the thread would have done. */
static void drain(struct rpcprof_grpc_service *service)
{
	if (service->own)
		shut_down(service);
	grpc_completion_queue_shutdown(service->queue);
	while (grpc_completion_queue_next(service->queue, gpr_inf_future(GPR_CLOCK_MONOTONIC),
	                                  NULL).type != GRPC_QUEUE_SHUTDOWN)
		;
}

static void forget(char *token)
{
	if (token == NULL)
		return;
	explicit_bzero(token, strlen(token));
	free(token);
}

/* Of a service whose thread is not there, or no more. */
static void destroy(struct rpcprof_grpc_service *service)
{
	if (!service->has_ended)
		drain(service);
	if (service->own)
		grpc_server_destroy(service->server);
	grpc_completion_queue_destroy(service->queue);
	grpc_shutdown();
	rpcprof_grpc_address_close(&service->accepter.address);
	pthread_cond_destroy(&service->ended);
	pthread_mutex_destroy(&service->lock);
	forget(service->read_token);
	forget(service->control_token);
	free(service->methods);
	free(service->name);
	free(service);
}

/* A server of ours. */

static grpc_arg number(const char *key, int value)
{
	grpc_arg arg;

	memset(&arg, 0, sizeof(arg));
	arg.type = GRPC_ARG_INTEGER;
	arg.key = (char *)(uintptr_t)key;
	arg.value.integer = value;
	return arg;
}

/* What strangers can make a connection take, in bytes, streams and time. */
static grpc_server *make_server(void)
{
	grpc_arg args[] = {number(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, 16 << 10),
	                   number(GRPC_ARG_MAX_CONCURRENT_STREAMS, 32),
	                   number(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 60000),
	                   number(GRPC_ARG_KEEPALIVE_TIME_MS, 20000),
	                   number(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000),
	                   number(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10000),
	                   number(GRPC_ARG_ALLOW_REUSEPORT, 0)};
	grpc_channel_args all = {sizeof(args) / sizeof(args[0]), args};

	return grpc_server_create(&all, NULL);
}

/* The text of a file; NULL, logged, if it cannot be had. */
static char *read_pem(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(PEM_MAX);
	size_t length = file != NULL && text != NULL ? fread(text, 1, PEM_MAX - 1, file) : 0;

	if (file != NULL)
		(void)fclose(file);
	if (length == 0) {
		rpcprof_log(RPCPROF_LOG_ERROR, "service: %s: cannot read it, or it is empty: %s",
		            path, strerror(errno));
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

static grpc_server_credentials *make_credentials(const struct rpcprof_grpc_service_config *config)
{
	const char *ca_file = config->tls_client_ca_file;
	char *certificate = read_pem(config->tls_certificate_file);
	char *key = read_pem(config->tls_key_file);
	char *ca = ca_file != NULL ? read_pem(ca_file) : NULL;
	grpc_ssl_pem_key_cert_pair pair = {key, certificate};
	grpc_server_credentials *credentials = NULL;

	if (certificate != NULL && key != NULL && (ca_file == NULL || ca != NULL))
		credentials = grpc_ssl_server_credentials_create_ex(
			ca, &pair, 1,
			ca != NULL ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
			           : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
			NULL);
	free(certificate);
	if (key != NULL)
		explicit_bzero(key, strlen(key));
	free(key);
	free(ca);
	return credentials;
}

/* TLS: core listens and accepts. 0 or a negative errno, logged. */
static int listen_tls(struct rpcprof_grpc_service *service,
                      const struct rpcprof_grpc_service_config *config)
{
	const char *colon = strrchr(config->address, ':');
	grpc_server_credentials *credentials = make_credentials(config);
	int port;

	if (credentials == NULL)
		return -EINVAL;
	port = grpc_server_add_http2_port(service->server, config->address, credentials);
	grpc_server_credentials_release(credentials);
	if (port == 0) {
		rpcprof_log(RPCPROF_LOG_ERROR, "service: %s: gRPC core cannot listen there with "
		            "this certificate; try another port, or look at its log", config->address);
		return -EADDRINUSE;
	}
	return asprintf(&service->name, "%.*s:%d", (int)(colon - config->address), config->address,
	                port) < 0 ? -ENOMEM : 0;
}

/* Serves from when the server has started: by then the thread is there, or nothing was begun. */
static int start(struct rpcprof_grpc_service *service)
{
	size_t requests = service->methods != NULL ? service->method_count : 1;
	int error;

	pthread_mutex_lock(&service->lock);
	error = rpcprof_thread_start(&service->thread, "rpcprof-ctl", serve, service);
	if (error == 0) {
		grpc_server_register_completion_queue(service->server, service->queue, NULL);
		grpc_server_start(service->server);
		for (size_t i = 0; i < requests; i++)
			(void)rpcprof_grpc_service_request(service, i);
	}
	pthread_mutex_unlock(&service->lock);
	return error;
}

/* As rpcprof_grpc_service_stop(), waiting for ever: nobody was let in yet. */
static void undo(struct rpcprof_grpc_service *service)
{
	shut_down(service);
	pthread_join(service->thread, NULL);
}

static int start_own(struct rpcprof_grpc_service *service)
{
	int error = start(service);

	if (error != 0 || service->accepter.address.file < 0)
		return error;
	service->accepter.server = service->server;
	error = rpcprof_grpc_accepter_start(&service->accepter);
	if (error != 0)
		undo(service);
	return error;
}

static int open_own(struct rpcprof_grpc_service *service,
                    const struct rpcprof_grpc_service_config *config)
{
	bool tokens = service->read_token != NULL || service->control_token != NULL;
	int error;

	service->own = true;
	service->trust_all = is_unix(config->address) || !tokens;
	service->server = make_server();
	if (config->tls_key_file != NULL) {
		error = listen_tls(service, config);
	} else {
		error = rpcprof_grpc_address_open(&service->accepter.address, config->address,
		                                  "sock");
		if (error == 0)
			error = copy_text(&service->name, service->accepter.address.name);
	}
	return error != 0 ? error : start_own(service);
}

static const struct rpcprof_grpc_service_config defaults = {.size = sizeof(defaults)};

int rpcprof_grpc_service_open(const struct rpcprof_grpc_service_config *config,
                              struct rpcprof_grpc_service **out)
{
	struct rpcprof_grpc_service *service;
	int error;

	config = config != NULL ? config : &defaults;
	error = check(config);
	if (error == 0)
		error = check_address(config);
	if (error != 0)
		return error;
	service = make(config);
	if (service == NULL)
		return -ENOMEM;
	error = open_own(service, config);
	if (error != 0)
		destroy(service);
	else
		*out = service;
	return error;
}

/* A server of the user's. */

static int register_methods(struct rpcprof_grpc_service *service)
{
	while (rpcprof_service_method(service->method_count) != NULL)
		service->method_count++;
	service->methods = calloc(service->method_count, sizeof(*service->methods));
	if (service->methods == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < service->method_count; i++) {
		service->methods[i] = grpc_server_register_method(
			service->server, rpcprof_service_method(i), NULL,
			GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER, 0);
		if (service->methods[i] == NULL)
			return -EEXIST;
	}
	return 0;
}

int rpcprof_grpc_server_start(grpc_server *server, const struct rpcprof_grpc_service_config *config,
                              struct rpcprof_grpc_service **out)
{
	struct rpcprof_grpc_service *service;
	int error;

	config = config != NULL ? config : &defaults;
	error = check(config);
	if (error != 0)
		return error;
	service = make(config);
	if (service == NULL)
		return -ENOMEM;
	service->server = server;
	error = register_methods(service);
	if (error == 0)
		error = start(service);
	if (error != 0)
		destroy(service);
	else
		*out = service;
	return error;
}

const char *rpcprof_grpc_service_address(const struct rpcprof_grpc_service *service)
{
	return service->name != NULL ? service->name : "";
}

/* Stop. */

static bool await_end(struct rpcprof_grpc_service *service, uint32_t timeout_ms)
{
	struct timespec until;
	int error = 0;
	bool ended;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&service->lock);
	while (!service->has_ended && error == 0)
		error = pthread_cond_timedwait(&service->ended, &service->lock, &until);
	ended = service->has_ended;
	pthread_mutex_unlock(&service->lock);
	return ended;
}

int rpcprof_grpc_service_stop(struct rpcprof_grpc_service *service, uint32_t timeout_ms)
{
	if (service == NULL)
		return 0;
	if (service->own && !service->shut_down) {
		rpcprof_grpc_accepter_stop(&service->accepter);
		shut_down(service);
	}
	if (!await_end(service, timeout_ms))
		return -ETIMEDOUT;
	pthread_join(service->thread, NULL);
	destroy(service);
	return 0;
}
