/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upload_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "export/dump_internal.h"
#include "export/pprof_read_internal.h"
#include "push/labels_internal.h"

#define LOOK_US 20000

enum option_key { APPLICATION = 1536, LABEL, NAME, NOW, PROTOCOL, TENANT };

static const char *const protocols[] = {
	[RPCPROF_PUSH_PYROSCOPE] = "pyroscope", [RPCPROF_PUSH_INGEST] = "ingest",
	[RPCPROF_PUSH_INGEST_FORM] = "ingest-form", [RPCPROF_PUSH_AUTOPGO] = "autopgo"};

#define PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

static void parse_protocol(struct argp_state *state, struct upload *upload, const char *name)
{
	uint32_t i = 0;

	while (i < PROTOCOLS && strcmp(name, protocols[i]) != 0)
		i++;
	if (i == PROTOCOLS)
		argp_error(state, "--protocol takes pyroscope, ingest, ingest-form or autopgo, not "
		                  "\"%s\"", name);
	upload->protocol = i;
}

static void parse_label(struct argp_state *state, struct upload *upload, char *text)
{
	char *value = strchr(text, '=');

	if (value == NULL) {
		argp_error(state, "--label takes NAME=VALUE, not \"%s\"", text);
		return;
	}
	if (upload->label_count == RPCPROF_PUSH_LABELS_MAX)
		argp_error(state, "more than %d labels, the last \"%s\"", RPCPROF_PUSH_LABELS_MAX,
		           text);
	*value++ = '\0';
	upload->labels[upload->label_count++] = (struct rpcprof_label){text, value};
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct upload *upload = state->input;

	switch (key) {
	case APPLICATION:
		upload->application = argument;
		return 0;
	case LABEL:
		parse_label(state, upload, argument);
		return 0;
	case NAME:
		upload->name = argument;
		return 0;
	case NOW:
		upload->now = true;
		return 0;
	case PROTOCOL:
		parse_protocol(state, upload, argument);
		return 0;
	case TENANT:
		upload->tenant = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"protocol", PROTOCOL, "PROTOCOL", 0,
	         "pyroscope (default), ingest, ingest-form (Pyroscope 0.x) or autopgo", 0},
	{"application", APPLICATION, "NAME", 0,
	         "Its name there; default is the program that the profile names", 0},
	{"label", LABEL, "NAME=VALUE", 0, "A label; up to 16 of them", 0},
	{"name", NAME, "TYPE", 0, "Label __name__; default by the sample types, like wall, process_cpu", 0},
	{"now", NOW, NULL, 0, "As if it ended now: servers refuse what is older than an hour", 0},
	{"tenant", TENANT, "NAME", 0, "X-Scope-OrgID", 0},
	{0},
};

const struct argp upload_argp = {.options = options, .parser = parse};

static int check_application(const struct upload *upload, const char *path, const char *application)
{
	const struct rpcprof_label label = {"service_name", application};
	const char *wrong;

	if (application == NULL)
		return complain(EXIT_USAGE, "%s: it does not name its program; give --application", path);
	wrong = rpcprof_label_check(&label, upload->protocol);
	if (wrong == NULL)
		return EXIT_DONE;
	return complain(EXIT_USAGE, "%s: no application can be called \"%s\": %s; give another by "
	                            "--application", path, application, wrong);
}

int upload_open(struct upload *upload)
{
	const uint64_t timeout_ns =
		upload->web.timeout_ns != 0 ? upload->web.timeout_ns : WEB_TIMEOUT_NS;
	struct rpcprof_push_config config = {
		.size = sizeof(config), .url = upload->url, .application = upload->application,
		.protocol = upload->protocol, .labels = upload->labels,
		.label_count = upload->label_count, .tenant = upload->tenant,
		.queue_bytes = PPROF_FILE_BYTES_MAX + (1u << 20), .jitter_ms = 1,
		.max_age_s = UINT32_MAX /* the server says what is too old */};
	int status = web_check_url(upload->url);

	if (upload->application == NULL)
		config.application = "unnamed"; /* each profile has a name of its own */
	else if (status == EXIT_DONE)
		status = check_application(upload, upload->url, upload->application);
	upload->web.timeout_ns = timeout_ns;
	if (status == EXIT_DONE)
		status = web_configure(&upload->web, timeout_ns, &config);
	if (status == EXIT_DONE)
		status = web_hear();
	if (status == EXIT_DONE)
		status = web_refused(upload->url, rpcprof_push_open(&upload->push, &config));
	web_forget(&config);
	return status;
}

void upload_close(struct upload *upload)
{
	(void)rpcprof_push_close(upload->push, 0);
	upload->push = NULL;
}

static bool has_type(const struct rpcprof_pprof *profile, const char *text, bool whole)
{
	for (size_t i = 0; i < profile->types_count; i++) {
		const char *type = rpcprof_pprof_text(profile, profile->types[i].type);

		if (whole ? strcmp(type, text) == 0 : strncmp(type, text, strlen(text)) == 0)
			return true;
	}
	return false;
}

/* As Go's and Pyroscope's own clients call them. Contention is of mutexes or channels: only who
 * asked for it knows. */
static const char *name_of(const struct rpcprof_pprof *profile)
{
	if (has_type(profile, "wall", true) || profile->types_count == 0)
		return "wall";
	if (has_type(profile, "cpu", true))
		return "process_cpu";
	if (has_type(profile, "alloc_", false) || has_type(profile, "inuse_", false))
		return "memory";
	if (has_type(profile, "contentions", true))
		return "mutex";
	return rpcprof_pprof_text(profile, profile->types[profile->types_count - 1].type);
}

/* The program's file name; NULL: it names none. */
static const char *application_of(const struct rpcprof_pprof *profile)
{
	const char *file, *slash;

	if (profile->mappings_count == 0)
		return NULL;
	file = rpcprof_pprof_text(profile, profile->mappings[0].file);
	slash = strrchr(file, '/');
	file = slash != NULL ? slash + 1 : file;
	return file[0] != '\0' ? file : NULL;
}

static int64_t utc_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Without a time of its own it is taken to have just ended. */
static void set_time(const struct upload *upload, struct rpcprof_pprof *profile)
{
	if (profile->duration_ns < 0)
		profile->duration_ns = 0;
	if (upload->now || profile->time_ns <= 0)
		profile->time_ns = utc_ns() - profile->duration_ns;
}

/* Not by rpcprof_push_flush(): each of those asks a server at once that wants to be left alone for
 * a while. One that is not there is not waited for. */
static void wait_for_end(struct upload *upload, const char *path, struct rpcprof_push_stats *now)
{
	int64_t until = utc_ns() + (int64_t)upload->web.timeout_ns;
	const uint64_t retried = now->retried;

	bool there = true;

	do {
		(void)usleep(LOOK_US);
		progress_wait(path, 0);
		(void)rpcprof_push_get_stats(upload->push, now);
		there = now->retried == retried || now->last_status != 0;
	} while (now->queued != 0 && there && utc_ns() < until);
	upload->gave_up = now->queued != 0;
	progress_end();
}

/* "refused: HTTP 400: ..." without what the library means to do about it. */
static const char *server_words(const struct rpcprof_push_stats *stats)
{
	const char *colon = strstr(stats->last_error, ": ");

	return colon != NULL ? colon + 2 : stats->last_error;
}

static int say_why_not(const struct upload *upload, const char *path,
                       const struct rpcprof_push_stats *before,
                       const struct rpcprof_push_stats *now)
{
	const char *what = "not sent";
	const uint64_t sent = now->sent - before->sent;
	char part[64] = "";

	if (now->dropped_invalid > before->dropped_invalid)
		return complain(EXIT_BAD_INPUT, "%s: not sent: %s", path, server_words(now));
	if (now->dropped_refused > before->dropped_refused)
		what = "refused";
	if (now->dropped_uncertain > before->dropped_uncertain)
		what = "sent, but it may or may not have arrived";
	if (sent != 0)
		snprintf(part, sizeof(part), " (but for %" PRIu64 " parts of it)", sent);
	if (now->last_failure_ns == before->last_failure_ns)
		return complain(EXIT_REMOTE, "%s: %s%s by %s: no answer in time; %s", path, what, part,
		                upload->url, web_remedy(0));
	return complain(EXIT_REMOTE, "%s: %s%s: %s: %s; %s", path, what, part, upload->url,
	                server_words(now), web_remedy(now->last_status));
}

static void say_what(const struct upload *upload, const char *path, const char *application,
                     const char *name, const struct rpcprof_push_stats *before,
                     const struct rpcprof_push_stats *now, FILE *out)
{
	rpcprof_dump_print_name(out, path);
	fputs(": sent to ", out);
	rpcprof_dump_print_name(out, upload->url);
	fputs(" as ", out);
	rpcprof_dump_print_name(out, application);
	if (upload->protocol == RPCPROF_PUSH_PYROSCOPE)
		fprintf(out, ", %s", name);
	fprintf(out, ": %" PRIu64 " bytes", now->sent_bytes - before->sent_bytes);
	if (now->split > before->split)
		fprintf(out, " in %" PRIu64 " parts", now->split - before->split + 1);
	if (now->folded > before->folded)
		fprintf(out, ", its %" PRIu64 " smallest samples as \"other\"",
		        now->folded - before->folded);
	fputc('\n', out);
}

static int send_bytes(struct upload *upload, const char *path, const char *application,
                      const char *name, const struct rpcprof_window_profile *profile, FILE *out)
{
	const struct rpcprof_label label = {"service_name", application};
	struct rpcprof_push_stats before = {.size = sizeof(before)}, now;
	int status = web_hear();

	if (status != EXIT_DONE)
		return status;
	(void)rpcprof_push_get_stats(upload->push, &before);
	now = before;
	status = web_refused(path, rpcprof_push_send(upload->push, name, profile, &label, 1));
	if (status != EXIT_DONE)
		return status;
	wait_for_end(upload, path, &now);
	if (upload->gave_up || now.sent - before.sent != now.split - before.split + 1)
		return say_why_not(upload, path, &before, &now);
	say_what(upload, path, application, name, &before, &now, out);
	return EXIT_DONE;
}

int upload_send(struct upload *upload, const char *path, struct rpcprof_pprof *profile, FILE *out)
{
	const char *name = upload->name != NULL ? upload->name : name_of(profile);
	const char *application =
		upload->application != NULL ? upload->application : application_of(profile);
	struct rpcprof_window_profile window = {0};
	uint8_t *bytes;
	int status = check_application(upload, path, application);

	if (status != EXIT_DONE)
		return status;
	if (profile->samples_count == 0) /* servers say that they took it, and drop it */
		return complain(EXIT_BAD_INPUT, "%s: there is nothing in it; it was not sent", path);
	set_time(upload, profile);
	window.begin_ns = profile->time_ns;
	if (__builtin_add_overflow(profile->time_ns, profile->duration_ns, &window.end_ns))
		window.end_ns = INT64_MAX;
	if (rpcprof_pprof_encode(profile, &bytes, &window.length) != 0)
		return complain(EXIT_SYSTEM, "out of memory");
	window.bytes = bytes;
	status = send_bytes(upload, path, application, name, &window, out);
	free(bytes);
	return status;
}
