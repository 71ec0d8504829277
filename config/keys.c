/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys. docs/export.md has it for people; the test docs.config compares the two. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "config/config_internal.h"

#define HERE(field)                                                                            \
	.offset = offsetof(struct config, field), .bytes = sizeof(((struct config *)0)->field)
#define SERVER(field)                                                                          \
	.of_server = true, .offset = offsetof(struct rpcprof_push_config, field),              \
	.bytes = sizeof(((struct rpcprof_push_config *)0)->field)
#define WITHIN(from, to) .least = (from), .most = (to)

#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define SECOND 1000ull
#define HOUR (3600 * SECOND)

const struct config_key config_keys[] = {
	{"application", CONFIG_TEXT, HERE(application),
	 .foreign = {"PYROSCOPE_APPLICATION_NAME", "OTEL_SERVICE_NAME"},
	 .says = "label service_name; else the program's file name"},
	{"labels", CONFIG_LABELS, .foreign = {"PYROSCOPE_LABELS", "OTEL_RESOURCE_ATTRIBUTES"},
	 .says = "of everything sent, name by name"},
	{"enabled", CONFIG_FLAG, HERE(enabled), .otherwise = "true",
	 .says = "recording starts switched on"},
	{"capacity", CONFIG_COUNT, HERE(recording.capacity), WITHIN(1, RPCPROF_CAPACITY_MAX),
	 .otherwise = "16384", .says = "finished calls that are kept for dumps"},
	{"max_in_flight", CONFIG_COUNT, HERE(recording.max_in_flight),
	 WITHIN(1, RPCPROF_CAPACITY_MAX), .says = "unfinished calls at a time; else a quarter of capacity"},
	{"interval", CONFIG_SECONDS, HERE(exporter.interval_s), WITHIN(SECOND, 24 * HOUR),
	 .otherwise = "10s", .says = "length of a profile's window"},
	{"directory", CONFIG_TEXT, HERE(exporter.directory),
	 .says = "profiles are written there too, a file per window"},
	{"keep_files", CONFIG_COUNT, HERE(exporter.keep_files), WITHIN(1, UINT32_MAX),
	 .otherwise = "360", .says = "in the directory"},
	{"keep_bytes", CONFIG_BYTES, HERE(exporter.keep_bytes), WITHIN(1, INT64_MAX),
	 .otherwise = "256MiB", .says = "in the directory"},
	{"sync", CONFIG_FLAG, HERE(exporter.sync), .otherwise = "false",
	 .says = "fsync each file"},
	{"aggregate_bytes", CONFIG_BYTES, HERE(exporter.aggregate_bytes), WITHIN(256 * KIB, 4 * GIB),
	 .otherwise = "8MiB", .says = "the most memory that sums take"},
	{"label_status", CONFIG_FLAG, HERE(exporter.label_status), .otherwise = "false",
	 .says = "label rpc_response_status_code; a label multiplies series"},
	{"label_method", CONFIG_FLAG, HERE(exporter.label_method), .otherwise = "false",
	 .says = "label rpc_method"},
	{"label_keys", CONFIG_LIST, HERE(exporter.label_keys),
	 .says = "the calls' own labels to show"},
	{"on_fork", CONFIG_CHOICE, HERE(on_fork), .choices = "off restart", .otherwise = "off",
	 .says = "what a forked child has: nothing, or threads of its own at once"},
	{"stop_timeout", CONFIG_MS, HERE(stop_timeout_ms), WITHIN(1, HOUR), .otherwise = "5s",
	 .says = "rpcprof run: for what is left to send when the program ends"},
	{"pull", CONFIG_TEXT, HERE(pull.address),
	 .says = "address at which profiles can be pulled, as 127.0.0.1:6060; else they cannot"},
	{"pull_read_token", CONFIG_SECRET, HERE(pull.tokens.read),
	 .says = "its bearers may read, 16 to 256 bytes"},
	{"pull_control_token", CONFIG_SECRET, HERE(pull.tokens.control),
	 .says = "its bearers may control too"},
	{"pull_hosts", CONFIG_LIST, HERE(pull.hosts), .says = "names it is asked by, without port"},
	{"pull_cert_file", CONFIG_FILE, HERE(pull.tls_certificate_file),
	 .says = "its certificate (PEM); else plain HTTP"},
	{"pull_key_file", CONFIG_FILE, HERE(pull.tls_key_file), .says = "its private key (PEM)"},

	{"url", CONFIG_URL, SERVER(url), .foreign = {"PYROSCOPE_SERVER_ADDRESS"},
	 .says = "http://host:4040, https://host/prefix"},
	{"protocol", CONFIG_CHOICE, SERVER(protocol),
	 .choices = "pyroscope ingest ingest_form autopgo parca",
	 .otherwise = "pyroscope", .says = "how the server is spoken to"},
	{"tenant", CONFIG_TEXT, SERVER(tenant), .says = "X-Scope-OrgID"},
	{"basic_user", CONFIG_TEXT, SERVER(basic_user), .foreign = {"PYROSCOPE_BASIC_AUTH_USER"},
	 .says = "of HTTP basic authentication"},
	{"basic_password", CONFIG_SECRET, SERVER(basic_password),
	 .foreign = {"PYROSCOPE_BASIC_AUTH_PASSWORD"}, .says = "its password"},
	{"bearer_file", CONFIG_FILE, SERVER(bearer_file),
	 .says = "holds a token; read for each request, so it may be rotated"},
	{"headers", CONFIG_HEADERS, SERVER(headers), .says = "more of them, Name: value"},
	{"ca_file", CONFIG_FILE, SERVER(ca_file), .says = "authorities (PEM), instead of the system's"},
	{"cert_file", CONFIG_FILE, SERVER(cert_file), .says = "our certificate (PEM)"},
	{"key_file", CONFIG_FILE, SERVER(key_file), .says = "its private key (PEM)"},
	{"connect_timeout", CONFIG_MS, SERVER(connect_timeout_ms), WITHIN(1, HOUR),
	 .otherwise = "5s", .says = "of a connection"},
	{"timeout", CONFIG_MS, SERVER(timeout_ms), WITHIN(1, HOUR), .otherwise = "10s",
	 .says = "of a request"},
	{"queue_sessions", CONFIG_COUNT, SERVER(queue_sessions), WITHIN(1, 4096), .otherwise = "64",
	 .says = "profiles that wait for the server, at most"},
	{"queue_bytes", CONFIG_BYTES, SERVER(queue_bytes), WITHIN(64 * KIB, UINT32_MAX),
	 .otherwise = "4MiB", .says = "their memory, at most"},
	{"backoff_min", CONFIG_MS, SERVER(backoff_min_ms), WITHIN(1, HOUR), .otherwise = "1s",
	 .says = "pause after a failure; it doubles, and is random"},
	{"backoff_max", CONFIG_MS, SERVER(backoff_max_ms), WITHIN(1, HOUR), .otherwise = "1m",
	 .says = "the longest pause"},
	{"jitter", CONFIG_MS, SERVER(jitter_ms), WITHIN(1, HOUR), .otherwise = "5s",
	 .says = "a profile waits up to that before it is sent, at most half its window"},
	{"max_age", CONFIG_SECONDS, SERVER(max_age_s), WITHIN(SECOND, 24 * HOUR),
	 .otherwise = "55m", .says = "older profiles are dropped"},
	{"profile_bytes", CONFIG_BYTES, SERVER(profile_bytes), WITHIN(16 * KIB, UINT32_MAX),
	 .otherwise = "1792KiB", .says = "uncompressed; larger ones are sent in parts"},
	{"profile_samples", CONFIG_COUNT, SERVER(profile_samples), WITHIN(128, UINT32_MAX),
	 .otherwise = "15000", .says = "likewise"},
	{"profile_parts", CONFIG_COUNT, SERVER(profile_parts), WITHIN(1, 16), .otherwise = "4",
	 .says = "of more than so many, the smallest samples become one"},
	{"label_values", CONFIG_COUNT, SERVER(label_values), WITHIN(1, 65536), .otherwise = "256",
	 .says = "different values of labels that are sent; later ones become other"},
	{"retry_uncertain", CONFIG_FLAG, SERVER(retry_uncertain), .otherwise = "false",
	 .says = "send again what may have arrived: it may count twice"},
	{"spool", CONFIG_TEXT, SERVER(spool), .says = "directory for what could not be sent yet"},
	{"spool_bytes", CONFIG_BYTES, SERVER(spool_bytes), WITHIN(1, INT64_MAX),
	 .otherwise = "64MiB", .says = "the oldest go beyond it"},
};

const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);
_Static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX, "raise it");

const struct config_key *config_key_find(const char *name, size_t length)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (strlen(config_keys[i].name) == length &&
		    memcmp(config_keys[i].name, name, length) == 0)
			return &config_keys[i];
	return NULL;
}

void config_key_variable(const struct config_key *key, char *name, size_t size)
{
	int prefix = snprintf(name, size, "%s%s", CONFIG_PREFIX, key->name);

	(void)prefix;
	for (; *name != '\0'; name++)
		*name = (char)toupper((unsigned char)*name);
}
