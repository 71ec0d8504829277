/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request. libmicrohttpd calls pull_request_handle() when its head is there, then when all of it
 * is, and once more when a connection that was suspended goes on.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pull/pull_internal.h"

static enum MHD_Result begin(struct pull *pull, struct MHD_Connection *connection, void **context)
{
	struct pull_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return MHD_NO;
	request->pull = pull;
	request->connection = connection;
	request->slot = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
	                        ->socket_context;
	pthread_mutex_lock(&pull->lock);
	pull->stats.requests++;
	pull->stats.under_way++;
	pthread_mutex_unlock(&pull->lock);
	*context = request;
	return MHD_YES;
}

static bool host_is_ours(const struct pull_request *request)
{
	const struct pull *pull = request->pull;
	const char *names[RPCPROF_PULL_HOSTS_MAX + 2] = {pull->host};
	struct sockaddr_storage local = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof(local);

	for (size_t i = 0; i < RPCPROF_PULL_HOSTS_MAX && pull->config.hosts[i] != NULL; i++)
		names[i + 1] = pull->config.hosts[i];
	(void)getsockname(request->slot->file, (struct sockaddr *)&local, &length);
	return pull_host_is_ours(pull_header(request, "Host"), (struct sockaddr *)&local, names);
}

static enum rpcprof_permission check_basic(const struct pull_request *request)
{
	enum rpcprof_permission permission;
	char *password = NULL;
	char *user = MHD_basic_auth_get_username_password(request->connection, &password);

	permission = rpcprof_tokens_check(&request->pull->config.tokens, password,
	                                  password != NULL ? strlen(password) : 0);
	if (password != NULL)
		explicit_bzero(password, strlen(password));
	MHD_free(password);
	MHD_free(user);
	return permission;
}

static enum rpcprof_permission permission_of(const struct pull_request *request)
{
	static const char scheme[] = "Bearer ";
	const struct rpcprof_tokens *tokens = &request->pull->config.tokens;
	const char *said = pull_header(request, "Authorization");

	if (tokens->read == NULL && tokens->control == NULL)
		return RPCPROF_MAY_CONTROL; /* the address is this machine's alone */
	if (said == NULL || strncasecmp(said, scheme, sizeof(scheme) - 1) != 0)
		return check_basic(request);
	said += sizeof(scheme) - 1;
	return rpcprof_tokens_check(tokens, said, strlen(said));
}

/* Strangers learn nothing, not even what there is. */
static bool admit(struct pull_request *request)
{
	struct pull *pull = request->pull;

	if (!host_is_ours(request)) {
		pull_count(pull, &pull->stats.bad_host, 1);
		pull_say(&request->answer, MHD_HTTP_FORBIDDEN,
		         "the Host header is neither loopback nor the address that you reached; a "
		         "name has to be among .hosts of rpcprof_pull_start()\n");
		return false;
	}
	request->permission = permission_of(request);
	if (request->permission < RPCPROF_MAY_READ) {
		pull_count(pull, &pull->stats.unauthenticated, 1);
		pull_say(&request->answer, MHD_HTTP_UNAUTHORIZED,
		         "no token, or a wrong one: send \"Authorization: Bearer TOKEN\", or the "
		         "token as the password of Basic\n");
		return false;
	}
	return true;
}

/* Probes of health are HEAD too. */
static bool takes(const struct pull_path *path, const char *method)
{
	return strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
	       (path != NULL && path->open && strcmp(method, MHD_HTTP_METHOD_HEAD) == 0);
}

static void decide(struct pull_request *request, const char *url, const char *method)
{
	const struct pull_path *path = pull_path_find(url);

	request->decided = true;
	if ((path == NULL || !path->open) && !admit(request))
		return;
	if (!takes(path, method))
		pull_say(&request->answer, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	else if (path == NULL)
		pull_say(&request->answer, MHD_HTTP_NOT_FOUND,
		         "Unknown profile: /debug/pprof/ lists what there is\n");
	else if (pull_is_stopping(request->pull))
		pull_say(&request->answer, MHD_HTTP_SERVICE_UNAVAILABLE, "this endpoint ends\n");
	else
		path->ask(request);
}

enum MHD_Result pull_request_handle(void *arg, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_length, void **context)
{
	struct pull_request *request = *context;

	(void)version;
	(void)upload;
	if (request == NULL)
		return begin(arg, connection, context);
	if (*upload_length != 0)
		return MHD_NO; /* nobody sends a body with GET */
	if (!request->decided)
		decide(request, url, method);
	if (request->window != NULL) {
		request->slot->until_ns = PULL_NEVER; /* the window has its own end */
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	if (request->answer.status == 0)
		return MHD_NO;
	request->slot->until_ns = pull_now_ns() + pull_send_ns;
	return pull_answer_send(&request->answer, connection);
}

static void count(struct pull *pull, const struct pull_answer *answer, bool arrived)
{
	struct rpcprof_pull_stats *stats = &pull->stats;

	pthread_mutex_lock(&pull->lock);
	stats->under_way--;
	if (!arrived) {
		stats->cut++;
	} else if (answer->status != MHD_HTTP_OK) {
		stats->refused++;
	} else {
		stats->ok++;
		stats->ok_bytes += answer->length;
	}
	pthread_mutex_unlock(&pull->lock);
}

void pull_request_completed(void *arg, struct MHD_Connection *connection, void **context,
                            enum MHD_RequestTerminationCode code)
{
	struct pull_request *request = *context;
	bool arrived = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;

	(void)connection;
	if (request == NULL)
		return;
	*context = NULL;
	if (request->consumer != NULL)
		pull_consumer_done(request, arrived);
	count(arg, &request->answer, arrived);
	free(request->answer.bytes);
	free(request);
}
