/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote_internal.h"
#include "rpcprof/v1/profiling.pb-c.h"

#include <stdlib.h>
#include <string.h>

#include "cli/filter_internal.h"

#define TIMEOUT_NS 10000000000u

enum option_key { TIMEOUT = 768, TOKEN_FILE, TLS, CA, CERTIFICATE, KEY };

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct remote *remote = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		remote->timeout_ns = TIMEOUT_NS;
		return 0;
	case 'a':
		remote->address = argument;
		return 0;
	case TIMEOUT:
		remote->timeout_ns = parse_duration(state, "--timeout", argument);
		return 0;
	case TOKEN_FILE:
		remote->token_file = argument;
		return 0;
	case TLS:
		remote->tls = true;
		return 0;
	case CA:
		remote->ca = argument;
		remote->tls = true;
		return 0;
	case CERTIFICATE:
		remote->certificate = argument;
		remote->tls = true;
		return 0;
	case KEY:
		remote->key = argument;
		remote->tls = true;
		return 0;
	case ARGP_KEY_ARG: /* a command that takes files has taken it before */
		argp_error(state, "no argument is taken, but \"%s\" was given; --address says where",
		           argument);
		return 0;
	case ARGP_KEY_END:
		if ((remote->certificate == NULL) != (remote->key == NULL))
			argp_error(state, "--cert and --key go together");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"address", 'a', "ADDRESS", 0,
	         "Where it serves: unix:/path or host:port, plain:/path where `rpcprof run' was given "
	         "unix:/path, or the id of a process at a private socket; not needed if there is "
	         "only one", 0},
	{"timeout", TIMEOUT, "TIME", 0, "How long to wait for an answer (10s)", 0},
	{"token-file", TOKEN_FILE, "FILE", 0, "The file that holds the token it asks for", 0},
	{"tls", TLS, NULL, 0, "By TLS, its certificate checked against the system's authorities", 0},
	{"ca", CA, "FILE", 0, "By TLS, against these authorities (PEM)", 0},
	{"cert", CERTIFICATE, "FILE", 0, "By TLS, showing this certificate (PEM)", 0},
	{"key", KEY, "FILE", 0, "and its private key (PEM)", 0},
	{0},
};

const struct argp remote_argp = {.options = options, .parser = parse};

/* What the files of a struct remote hold. */
struct secrets {
	char *token, *ca, *certificate, *key;
	char *authorization;
};

static int secrets_read(struct secrets *secrets, const struct remote *remote)
{
	int status = secret_read(remote->token_file, &secrets->token);

	if (status == EXIT_DONE)
		status = secret_read(remote->ca, &secrets->ca);
	if (status == EXIT_DONE)
		status = secret_read(remote->certificate, &secrets->certificate);
	if (status == EXIT_DONE)
		status = secret_read(remote->key, &secrets->key);
	if (status == EXIT_DONE && secrets->token != NULL &&
	    asprintf(&secrets->authorization, "Bearer %s", secrets->token) < 0) {
		secrets->authorization = NULL;
		status = complain(EXIT_SYSTEM, "out of memory");
	}
	return status;
}

static void secrets_free(struct secrets *secrets)
{
	secret_free(secrets->token);
	secret_free(secrets->authorization);
	secret_free(secrets->key);
	free(secrets->ca);
	free(secrets->certificate);
}

/* What the user can do about a status code; the server's words say the rest. */
static int explain(const struct remote *remote, int32_t code, const char *words)
{
	const char *name = rpcprof_dump_status_name(code);
	const char *remedy;

	switch (code) {
	case 3: /* INVALID_ARGUMENT */
		remedy = "see `rpcprof COMMAND --help' for what can be asked";
		break;
	case 4: /* DEADLINE_EXCEEDED */
		remedy = "a longer --timeout may help";
		break;
	case 7: /* PERMISSION_DENIED */
		remedy = "this takes the token for control: --token-file";
		break;
	case 8: /* RESOURCE_EXHAUSTED */
		remedy = "ask again later, or for less";
		break;
	case 9: /* FAILED_PRECONDITION */
		remedy = "`rpcprof enable' switches recording on";
		break;
	case 12: /* UNIMPLEMENTED */
		remedy = "what listens there is not rpcprof's service, or older than this command";
		break;
	case 14: /* UNAVAILABLE */
		remedy = "check the address, that the process runs and serves it, and --tls";
		break;
	case 16: /* UNAUTHENTICATED */
		remedy = "give the token that it asks for: --token-file";
		break;
	default:
		remedy = "see the log of the process there";
	}
	return complain(EXIT_REMOTE, "%s: %s%s%s; %s", remote->address,
	                name != NULL ? name : "unknown status", words[0] != '\0' ? ": " : "", words,
	                remedy);
}

static int ask(const struct remote *remote, struct remote_call *call)
{
	static const char plain[] = "plain:";
	char *words = NULL;
	int status, said;
	int32_t code;

	if (strncmp(call->target, plain, sizeof(plain) - 1) == 0) {
		call->target += sizeof(plain) - 1;
		code = remote_plain(call, &words, &said);
	} else {
		code = remote_grpc(call, &words, &said);
	}
	progress_end();
	status = said;
	if (said == EXIT_DONE && code != 0)
		status = explain(remote, code, words != NULL ? words : "");
	free(words);
	return status;
}

/* Makes the address one that gRPC takes. What was found is kept for the life of the command. */
static int resolve(struct remote *remote)
{
	static char *found;
	char *end;
	long pid = 0;
	int status;

	if (remote->address != NULL) {
		pid = strtol(remote->address, &end, 10);
		if (pid <= 0 || *end != '\0')
			return EXIT_DONE;
	}
	status = remote_find(pid, &found);
	if (status == EXIT_DONE)
		remote->address = found;
	return status;
}

int remote_ask(struct remote *remote, const char *method, const struct ProtobufCMessage *request,
               uint64_t longer_ns, remote_message *fn, void *arg)
{
	size_t length = protobuf_c_message_get_packed_size(request);
	uint8_t *bytes = malloc(length + 1);
	struct secrets secrets = {0};
	struct remote_call call;
	char path[64];
	int status;

	status = bytes != NULL ? resolve(remote) : complain(EXIT_SYSTEM, "out of memory");
	if (status == EXIT_DONE)
		status = secrets_read(&secrets, remote);
	if (status == EXIT_DONE) {
		snprintf(path, sizeof(path), "/rpcprof.v1.Profiling/%s", method);
		protobuf_c_message_pack(request, bytes);
		call = (struct remote_call){
			.target = remote->address, .authorization = secrets.authorization,
			.ca = secrets.ca, .certificate = secrets.certificate, .key = secrets.key,
			.tls = remote->tls, .path = path, .request = bytes, .length = length,
			
			.timeout_ns = remote->timeout_ns, .longer_ns = longer_ns, .fn = fn, .arg = arg};
		status = ask(remote, &call);
	}
	secrets_free(&secrets);
	free(bytes);
	return status;
}

/* Puts a message behind the others, its length before it: as a saved dump. */
static int keep(void *arg, const uint8_t *bytes, size_t length)
{
	struct input *input = arg;
	uint8_t *larger = NULL;
	size_t rest = length;

	if (input->length + length <= PPROF_BYTES_MAX)
		larger = realloc(input->bytes, input->length + length + 10);
	if (larger == NULL)
		return complain(EXIT_SYSTEM, "%s: an answer larger than memory", input->path);
	input->bytes = larger;
	for (; rest >= 0x80; rest >>= 7)
		input->bytes[input->length++] = (uint8_t)(rest | 0x80);
	input->bytes[input->length++] = (uint8_t)rest;
	memcpy(input->bytes + input->length, bytes, length);
	input->length += length;
	return EXIT_DONE;
}

static Rpcprof__V1__Filter filter_of(const struct call_filter *filter,
                                     Rpcprof__V1__StatusCode *status)
{
	Rpcprof__V1__Filter message = RPCPROF__V1__FILTER__INIT;

	if (filter->side != NULL)
		message.side = (char *)(uintptr_t)filter->side;
	if (filter->method != NULL)
		message.method = (char *)(uintptr_t)filter->method;
	if (filter->by_status) {
		rpcprof__v1__status_code__init(status);
		status->code = filter->status;
		message.status = status;
	}
	message.min_duration_ns = filter->min_duration_ns;
	return message;
}

int remote_fetch(struct remote *remote, const struct call_filter *filter,
                 struct input *input)
{
	Rpcprof__V1__SnapshotRequest finished = RPCPROF__V1__SNAPSHOT_REQUEST__INIT;
	Rpcprof__V1__InFlightRequest in_flight = RPCPROF__V1__IN_FLIGHT_REQUEST__INIT;
	Rpcprof__V1__StatusCode status_code;
	Rpcprof__V1__Filter message = filter_of(filter, &status_code);
	int status;

	*input = (struct input){.path = "answer", .is_proto = true};
	finished.filter = in_flight.filter = &message;
	finished.last = filter->last < UINT32_MAX ? (uint32_t)filter->last : UINT32_MAX;
	status = filter->in_flight
	                 ? remote_ask(remote, "InFlight", &in_flight.base, 0, keep, input)
	                 : remote_ask(remote, "Snapshot", &finished.base, 0, keep, input);
	input->path = remote->address;
	if (status != EXIT_DONE)
		input_close(input);
	return status;
}
