/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /ingest, what Pyroscope took before push.v1 and still takes. Its version 0 keeps only the
 * sample types that a sample_type_config names, and takes the window from the query.
 */
#include "push/sink_internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "push/fit_internal.h"
#include "push/labels_internal.h"

#define NAME_ROOM (RPCPROF_LABEL_SET_MAX * (256 + 1024 + 4))

/* application{name=value,...}; the labels were checked when they were set. */
static void write_name(const struct rpcprof_session *session, char *name)
{
	char *end = stpcpy(name, session->labels[1].value);

	end = stpcpy(end, "{");
	for (size_t i = 2; i < session->label_count; i++)
		end += sprintf(end, "%s%s=%s", i > 2 ? "," : "", session->labels[i].name,
		               session->labels[i].value);
	stpcpy(end, "}");
}

/* format: "&format=pprof" or "". malloc'ed; NULL: no memory. */
static char *make_path(const struct rpcprof_session *session, const char *format)
{
	char *name = malloc(NAME_ROOM), *escaped = NULL, *path = NULL;

	if (name != NULL) {
		write_name(session, name);
		escaped = curl_easy_escape(NULL, name, 0);
	}
	if (escaped != NULL &&
	    asprintf(&path, "/ingest?name=%s&from=%" PRId64 "&until=%" PRId64 "&spyName=rpcprof%s",
	             escaped, session->begin_ns, session->end_ns, format) < 0)
		path = NULL;
	curl_free(escaped);
	free(name);
	return path;
}

enum rpcprof_delivery rpcprof_sink_ingest(void *arg, const struct rpcprof_session *session,
                                          struct rpcprof_reply *reply)
{
	struct rpcprof_http_request request = {.content_type = "application/octet-stream",
	                                       .body = session->bytes, .length = session->length};
	enum rpcprof_delivery delivery;
	char *path = make_path(session, "&format=pprof");

	if (path == NULL)
		return rpcprof_sink_no_memory(reply);
	request.path = path;
	delivery = rpcprof_http_ask(arg, &request, reply);
	free(path);
	return delivery;
}

/* The units whose values version 0 shows as times, bytes and numbers. */
static const char *unit_of(const char *unit)
{
	if (strcmp(unit, "nanoseconds") == 0)
		return "lock_nanoseconds";
	return strcmp(unit, "bytes") == 0 ? "bytes" : "objects";
}

static char *config_of(const struct rpcprof_pprof *model)
{
	json_t *config = json_object();
	char *text;

	for (size_t i = 0; i < model->types_count; i++) {
		const char *type = rpcprof_pprof_text(model, model->types[i].type);
		const char *unit = rpcprof_pprof_text(model, model->types[i].unit);

		json_object_set_new(config, type,
		                    json_pack("{s:s, s:s, s:s, s:b, s:b}", "units", unit_of(unit),
		                              "display-name", type, "aggregation", "sum",
		                              "cumulative", 0, "sampled", 0));
	}
	text = json_dumps(config, JSON_COMPACT);
	json_decref(config);
	return text;
}

/* sample_type_config for the types that the profile has. */
static char *make_config(const struct rpcprof_session *session)
{
	struct rpcprof_pprof *model = NULL;
	struct pprof_error error;
	size_t uncompressed;
	char *config = NULL;

	if (rpcprof_fit_read(session->bytes, session->length, &model, &uncompressed, &error) == 0)
		config = config_of(model);
	rpcprof_pprof_close(model);
	return config;
}

static curl_mime *make_form(struct rpcprof_http *http, const struct rpcprof_session *session,
                            const char *config)
{
	curl_mime *form = rpcprof_http_form(http);
	curl_mimepart *profile = form != NULL ? curl_mime_addpart(form) : NULL;
	curl_mimepart *types = profile != NULL ? curl_mime_addpart(form) : NULL;

	if (types == NULL) {
		curl_mime_free(form);
		return NULL;
	}
	curl_mime_name(profile, "profile");
	curl_mime_filename(profile, "profile.pprof");
	curl_mime_data(profile, (const char *)session->bytes, session->length);
	curl_mime_name(types, "sample_type_config");
	curl_mime_filename(types, "sample_type_config.json");
	curl_mime_data(types, config, CURL_ZERO_TERMINATED);
	return form;
}

enum rpcprof_delivery rpcprof_sink_ingest_form(void *arg, const struct rpcprof_session *session,
                                               struct rpcprof_reply *reply)
{
	enum rpcprof_delivery delivery;
	char *path = make_path(session, "");
	char *config = make_config(session);
	struct rpcprof_http_request request = {.path = path, .length = session->length};

	if (path != NULL && config != NULL)
		request.form = make_form(arg, session, config);
	if (request.form != NULL)
		delivery = rpcprof_http_ask(arg, &request, reply);
	else
		delivery = rpcprof_sink_no_memory(reply);
	curl_mime_free(request.form);
	free(path);
	free(config);
	return delivery;
}
