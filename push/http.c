/* SPDX-License-Identifier: Apache-2.0 */
#include "push/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcprof/control.h"
#include "rpcprof/version.h"

#define ANSWER_KEPT 4096            /* bytes of an answer that may be shown */
#define ANSWER_READ (256u << 10)    /* more is not read: the connection is closed */
#define TOKEN_BYTES_MAX 8192
#define SOCKETS_MAX 8

struct rpcprof_http {
	CURLM *multi; /* waits for the network and for rpcprof_http_interrupt() at once */
	CURL *easy;
	char *url;
	char *bearer_file;
	struct curl_slist *headers; /* the configuration's */
	bool interrupted; /* atomic */
	int sockets[SOCKETS_MAX]; /* atomic; -1: none. For a forked child to close */
	char answer[ANSWER_KEPT + 1];
	size_t answer_length, answer_read;
	char error[CURL_ERROR_SIZE];
	const struct rpcprof_http_request *request; /* the one that is under way */
	struct rpcprof_http *next; /* of those that were abandoned */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global = CURLE_FAILED_INIT;

static void start_curl(void)
{
	global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_push_open: %s", what);
	return -EINVAL;
}

static size_t take_answer(char *bytes, size_t one, size_t length, void *arg)
{
	struct rpcprof_http *http = arg;
	size_t kept = ANSWER_KEPT - http->answer_length;
	long status = 0;

	(void)one;
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	if (http->request->take != NULL && status >= 200 && status < 300)
		return http->request->take(http->request->arg, bytes, length)
		               ? length
		               : CURL_WRITEFUNC_ERROR;
	if (kept > length)
		kept = length;
	memcpy(http->answer + http->answer_length, bytes, kept);
	http->answer_length += kept;
	http->answer[http->answer_length] = '\0';
	http->answer_read += length;
	return http->answer_read > ANSWER_READ ? CURL_WRITEFUNC_ERROR : length;
}

static void swap_socket(struct rpcprof_http *http, int from, int to)
{
	for (int i = 0; i < SOCKETS_MAX; i++) {
		int expected = from;

		if (__atomic_compare_exchange_n(&http->sockets[i], &expected, to, false,
		                                __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
	}
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd >= 0)
		swap_socket(arg, -1, fd);
	return fd;
}

/* Forgotten before it is closed: its number may be someone else's a moment later. */
static int close_socket(void *arg, curl_socket_t fd)
{
	swap_socket(arg, fd, -1);
	return close(fd);
}

/* Whether it is one line, so that it cannot smuggle in another header. */
static bool is_one_line(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int check_header(const char *header)
{
	const char *colon = strchr(header, ':');

	if (colon == NULL || colon == header || !is_one_line(header))
		return refuse("headers: one is not \"Name: value\" in one line");
	return 0;
}

static int add_header(struct curl_slist **headers, const char *header)
{
	struct curl_slist *longer = curl_slist_append(*headers, header);

	if (longer == NULL)
		return -ENOMEM;
	*headers = longer;
	return 0;
}

static int add_headers(struct rpcprof_http *http, const struct rpcprof_push_config *config)
{
	char *tenant = NULL;
	int error = 0;

	if (config->tenant != NULL && !is_one_line(config->tenant))
		return refuse("tenant is not one line");
	if (config->tenant != NULL) {
		if (asprintf(&tenant, "X-Scope-OrgID: %s", config->tenant) < 0)
			return -ENOMEM;
		error = add_header(&http->headers, tenant);
		free(tenant);
	}
	for (int i = 0; error == 0 && i < RPCPROF_PUSH_HEADERS_MAX; i++) {
		if (config->headers[i] == NULL)
			break;
		error = check_header(config->headers[i]);
		if (error == 0)
			error = add_header(&http->headers, config->headers[i]);
	}
	/* Profiles are small: to ask first ("Expect: 100-continue") only costs a round trip. */
	return error != 0 ? error : add_header(&http->headers, "Expect:");
}

static void set_connection(struct rpcprof_http *http, const struct rpcprof_push_config *config)
{
	CURL *easy = http->easy;
	char agent[64];

	snprintf(agent, sizeof(agent), "rpcprof/%s", rpcprof_version());
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, agent);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, http);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 2L);
}

static void set_identity(CURL *easy, const struct rpcprof_push_config *config)
{
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (config->ca_file != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (config->cert_file != NULL)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert_file);
	if (config->key_file != NULL)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file);
	if (config->basic_user != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, config->basic_user);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, config->basic_password);
	}
}

static void warn_of_plain_text(const struct rpcprof_push_config *config)
{
	bool secret = config->basic_user != NULL || config->bearer_file != NULL;

	if (secret && strncasecmp(config->url, "http://", 7) == 0)
		rpcprof_log(RPCPROF_LOG_WARNING,
		            "rpcprof_push_open: credentials go to %s unencrypted: use https://",
		            config->url);
}

static int check_protocol(const struct rpcprof_push_config *config)
{
	bool http2 = (curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2) != 0;

	if (config->protocol == RPCPROF_PUSH_PARCA && !http2)
		return refuse("protocol: libcurl was built without HTTP/2, which gRPC takes");
	return 0;
}

static int fill(struct rpcprof_http *http, const struct rpcprof_push_config *config)
{
	size_t length;

	for (int i = 0; i < SOCKETS_MAX; i++)
		http->sockets[i] = -1;
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	http->url = strdup(config->url);
	if (config->bearer_file != NULL)
		http->bearer_file = strdup(config->bearer_file);
	if (http->multi == NULL || http->easy == NULL || http->url == NULL ||
	    (config->bearer_file != NULL && http->bearer_file == NULL))
		return -ENOMEM;
	length = strlen(http->url);
	while (length > 0 && http->url[length - 1] == '/')
		http->url[--length] = '\0';
	set_connection(http, config);
	set_identity(http->easy, config);
	warn_of_plain_text(config);
	return add_headers(http, config);
}

int rpcprof_http_open(struct rpcprof_http **out, const struct rpcprof_push_config *config)
{
	struct rpcprof_http *http;
	const char *wrong = rpcprof_http_check_url(config->url);
	int error;

	if (wrong != NULL) {
		rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_push_open: url: %s", wrong);
		return -EINVAL;
	}
	error = check_protocol(config);
	if (error != 0)
		return error;
	if (config->basic_user != NULL && config->bearer_file != NULL)
		return refuse("basic_user and bearer_file are both set");
	pthread_once(&once, start_curl);
	http = global == CURLE_OK ? calloc(1, sizeof(*http)) : NULL;
	if (http == NULL)
		return -ENOMEM;
	error = fill(http, config);
	if (error != 0)
		rpcprof_http_close(http);
	else
		*out = http;
	return error;
}

void rpcprof_http_close(struct rpcprof_http *http)
{
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	free(http->url);
	free(http->bearer_file);
	free(http);
}

void rpcprof_http_forget(struct rpcprof_http *http)
{
	for (int i = 0; i < SOCKETS_MAX; i++) {
		int fd = __atomic_exchange_n(&http->sockets[i], -1, __ATOMIC_RELAXED);

		if (fd >= 0)
			close(fd);
	}
}

void rpcprof_http_abandon(struct rpcprof_http *http)
{
	static struct rpcprof_http *abandoned; /* so that who looks for leaks finds them */

	curl_slist_free_all(http->headers);
	http->headers = NULL;
	free(http->url);
	free(http->bearer_file);
	http->next = abandoned;
	abandoned = http;
}

void rpcprof_http_interrupt(struct rpcprof_http *http)
{
	__atomic_store_n(&http->interrupted, true, __ATOMIC_RELAXED); /* a flag and no more */
	curl_multi_wakeup(http->multi);
}

static bool is_interrupted(const struct rpcprof_http *http)
{
	return __atomic_load_n(&http->interrupted, __ATOMIC_RELAXED);
}

curl_mime *rpcprof_http_form(struct rpcprof_http *http)
{
	return curl_mime_init(http->easy);
}

/* The first line of the file, with "Authorization: Bearer " before it, as a header. */
static int add_token(struct rpcprof_http *http, struct curl_slist **headers)
{
	static const char before[] = "Authorization: Bearer ";
	char header[sizeof(before) + TOKEN_BYTES_MAX];
	int fd = open(http->bearer_file, O_RDONLY | O_CLOEXEC);
	size_t at = sizeof(before) - 1;
	ssize_t length;
	int error;

	if (fd < 0)
		return -errno;
	memcpy(header, before, at);
	length = read(fd, header + at, TOKEN_BYTES_MAX);
	error = length < 0 ? -errno : 0;
	close(fd);
	if (error != 0)
		return error;
	header[at + (size_t)length] = '\0';
	header[at + strcspn(header + at, "\r\n")] = '\0';
	error = header[at] == '\0' ? -ENODATA : add_header(headers, header);
	explicit_bzero(header, sizeof(header));
	return error;
}

static int copy_headers(struct rpcprof_http *http, struct curl_slist **headers)
{
	int error = 0;

	for (struct curl_slist *h = http->headers; error == 0 && h != NULL; h = h->next)
		error = add_header(headers, h->data);
	return error;
}

/* Those of this request. */
static int make_headers(struct rpcprof_http *http, const struct rpcprof_http_request *request,
                        struct curl_slist **headers, struct rpcprof_reply *reply)
{
	char text[128], reason[128];
	int error = copy_headers(http, headers);

	if (error == 0 && request->content_type != NULL) {
		snprintf(text, sizeof(text), "Content-Type: %s", request->content_type);
		error = add_header(headers, text);
	}
	if (error == 0 && request->grpc)
		error = add_header(headers, "TE: trailers");
	if (error == 0 && http->bearer_file != NULL)
		error = add_token(http, headers);
	if (error != 0)
		snprintf(reply->message, sizeof(reply->message), "bearer_file %.100s: %s",
		         http->bearer_file != NULL ? http->bearer_file : "",
		         error == -ENODATA ? "it is empty"
		                           : strerror_r(-error, reason, sizeof(reason)));
	return error;
}

static CURLcode perform(struct rpcprof_http *http)
{
	const struct rpcprof_http_request *request = http->request;
	int running = 1, left;
	CURLcode code = CURLE_ABORTED_BY_CALLBACK;
	CURLMsg *message;

	if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
		return CURLE_OUT_OF_MEMORY;
	while (running != 0 && !is_interrupted(http)) {
		if (curl_multi_perform(http->multi, &running) != CURLM_OK)
			break;
		if (running != 0)
			curl_multi_poll(http->multi, NULL, 0, request->tick != NULL ? 200 : 1000,
			                NULL);
		if (request->tick != NULL)
			request->tick(request->arg);
	}
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
		if (message->msg == CURLMSG_DONE)
			code = message->data.result;
	curl_multi_remove_handle(http->multi, http->easy);
	return code;
}

/* With TLS it is still negotiated. Without, curl 7.88 loses its way on a connection that it kept. */
static void set_http2(struct rpcprof_http *http)
{
	unsigned version = curl_version_info(CURLVERSION_NOW)->version_num >> 8;
	bool plain = strncasecmp(http->url, "http://", 7) == 0;

	curl_easy_setopt(http->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(http->easy, CURLOPT_FORBID_REUSE, plain && version == 0x0758 ? 1L : 0L);
}

static void set_request(struct rpcprof_http *http, const struct rpcprof_http_request *request,
                        const char *url, struct curl_slist *headers)
{
	CURL *easy = http->easy;

	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (request->grpc)
		set_http2(http);
	if (request->method != NULL) {
		curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	} else if (request->form != NULL) {
		curl_easy_setopt(easy, CURLOPT_MIMEPOST, request->form);
	} else {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->length);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)request->body);
	}
	http->request = request;
	http->answer_length = http->answer_read = 0;
	http->answer[0] = http->error[0] = '\0';
}

/* A header, or a trailer; NULL: it did not come. */
static const char *find_header(struct rpcprof_http *http, const char *name)
{
	struct curl_header *header;

	return curl_easy_header(http->easy, name, 0, CURLH_HEADER | CURLH_TRAILER, -1, &header) ==
	                       CURLHE_OK
	               ? header->value
	               : NULL;
}

static enum rpcprof_delivery judge(struct rpcprof_http *http, CURLcode code,
                                   const struct rpcprof_http_request *request,
                                   struct rpcprof_reply *reply)
{
	struct rpcprof_http_outcome outcome = {.code = code, .body = http->answer,
	                                       .answer_type = request->answer_type,
	                                       .grpc = request->grpc};
	curl_off_t sent = 0, wait = 0;
	char *content_type = NULL;

	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &outcome.status);
	curl_easy_getinfo(http->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &content_type);
	if (curl_easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
		reply->retry_after_s = wait < 3600 ? (uint32_t)wait : 3600;
	outcome.sent_all = request->form != NULL ? sent > 0 : sent >= (curl_off_t)request->length;
	outcome.content_type = content_type;
	if (request->grpc) {
		outcome.grpc_status = find_header(http, "grpc-status");
		outcome.grpc_message = find_header(http, "grpc-message");
	}
	return rpcprof_http_judge(&outcome, http->error, reply);
}

enum rpcprof_delivery rpcprof_http_ask(struct rpcprof_http *http,
                                        const struct rpcprof_http_request *request,
                                        struct rpcprof_reply *reply)
{
	enum rpcprof_delivery delivery = RPCPROF_NOT_NOW;
	struct curl_slist *headers = NULL;
	char *url = NULL;

	if (make_headers(http, request, &headers, reply) == 0 &&
	    asprintf(&url, "%s%s", http->url, request->path) >= 0) {
		set_request(http, request, url, headers);
		delivery = judge(http, perform(http), request, reply);
		curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
		free(url);
	}
	for (struct curl_slist *h = headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(headers);
	return delivery;
}
