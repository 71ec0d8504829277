/* SPDX-License-Identifier: Apache-2.0 */
/* What is read, from where, which wins, and what is refused with which words. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config_internal.h"
#include "export/exporter_internal.h"
#include "push/push_internal.h"

static struct config config;
static char path[] = "/tmp/rpcprof-config-XXXXXX";

static void clean(void)
{
	static const char *const mine[] = {"RPCPROF_", "PYROSCOPE_", "OTEL_"};

	for (size_t i = 0; environ[i] != NULL;) {
		char *name = strndup(environ[i], strcspn(environ[i], "="));
		bool found = false;

		for (size_t k = 0; k < 3; k++)
			found = found || strncmp(name, mine[k], strlen(mine[k])) == 0;
		if (found)
			unsetenv(name);
		else
			i++;
		free(name);
	}
	config_clear(&config);
}

static void write_file(const char *text)
{
	int file;

	strcpy(path + strlen(path) - 6, "XXXXXX");
	file = mkstemp(path);
	cr_assert(file >= 0);
	cr_assert_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
	close(file);
}

/* With this file (NULL: none) and these settings of the program. */
static int read_with(const char *yaml, const struct rpcprof_setting *settings, size_t count)
{
	struct rpcprof_agent_config agent = {.size = sizeof(agent), .settings = settings,
	                                     .setting_count = count};
	int error;

	config_clear(&config);
	if (yaml != NULL) {
		write_file(yaml);
		agent.file = path;
	}
	error = config_read(&config, &agent, "program");
	if (yaml != NULL)
		unlink(path);
	return error;
}

static const struct config_value *value(const char *name, size_t server)
{
	const struct config_key *key = config_key_find(name, strlen(name));

	return key->of_server ? &config.servers[server][key - config_keys]
	                      : &config.values[key - config_keys];
}

static const char *label(const char *name)
{
	for (size_t i = 0; i < config.label_count; i++)
		if (strcmp(config.labels[i].name, name) == 0)
			return config.labels[i].value.text;
	return NULL;
}

/* A key with every source, taken away one by one. */
Test(config, the_strongest_source_wins, .init = clean, .fini = clean)
{
	const struct rpcprof_setting setting = {"application", "of-the-program"};
	const char *const yaml = "application: of-the-file\n";

	setenv("RPCPROF_APPLICATION", "of-ours", 1);
	setenv("PYROSCOPE_APPLICATION_NAME", "of-pyroscope", 1);
	setenv("OTEL_SERVICE_NAME", "of-otel", 1);
	setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=of-attributes", 1);
	cr_assert_eq(read_with(yaml, &setting, 1), 0);
	cr_assert_str_eq(config.application, "of-the-program");
	cr_assert_str_eq(value("application", 0)->source, "the program");
	cr_assert_eq(read_with(yaml, NULL, 0), 0);
	cr_assert_str_eq(config.application, "of-ours");
	cr_assert_str_eq(value("application", 0)->source, "RPCPROF_APPLICATION");
	unsetenv("RPCPROF_APPLICATION");
	cr_assert_eq(read_with(yaml, NULL, 0), 0);
	cr_assert_str_eq(config.application, "of-the-file");
	cr_assert_str_eq(strrchr(value("application", 0)->source, ':'), ":1");
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	cr_assert_str_eq(config.application, "of-pyroscope");
	unsetenv("PYROSCOPE_APPLICATION_NAME");
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	cr_assert_str_eq(config.application, "of-otel");
	setenv("OTEL_SERVICE_NAME", "", 1); /* to OpenTelemetry that is none */
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	cr_assert_str_eq(config.application, "of-attributes");
	unsetenv("OTEL_RESOURCE_ATTRIBUTES");
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	cr_assert_str_eq(config.application, "program");
	cr_assert_null(value("application", 0)->text);
}

Test(config, labels_are_taken_name_by_name, .init = clean, .fini = clean)
{
	setenv("RPCPROF_LABELS", "a=ours,b=ours", 1);
	setenv("PYROSCOPE_LABELS", "b=theirs,c=theirs,d=theirs", 1);
	setenv("OTEL_RESOURCE_ATTRIBUTES",
	       "service.version=1.2%2C3, k8s.pod.name = web-0 ,deployment.environment.name=prod,"
	       "service.namespace=shop,host.name=h,k8s.pod.label.a/b-c=x", 1);
	cr_assert_eq(read_with("labels:\n  c: file\n", NULL, 0), 0);
	cr_assert_str_eq(label("a"), "ours");
	cr_assert_str_eq(label("b"), "ours");
	cr_assert_str_eq(label("c"), "file");
	cr_assert_str_eq(label("d"), "theirs");
	cr_assert_str_eq(label("service_version"), "1.2,3");
	cr_assert_str_eq(label("k8s_pod_name"), "web-0");
	cr_assert_str_eq(label("deployment_environment_name"), "prod");
	cr_assert_str_eq(label("service_namespace"), "shop");
	cr_assert_str_eq(label("k8s_pod_label_a_b_c"), "x");
	cr_assert_null(label("host_name"));
	cr_assert_eq(config.label_count, 9);
}

Test(config, attributes_that_are_wrong_are_ignored_as_a_whole, .init = clean, .fini = clean)
{
	setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=1,nonsense", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	cr_assert_eq(config.label_count, 0);
	cr_assert_not_null(strstr(config.notes, "OTEL_RESOURCE_ATTRIBUTES"));
}

Test(config, pyroscopes_variables_make_a_server, .init = clean, .fini = clean)
{
	setenv("PYROSCOPE_SERVER_ADDRESS", "http://pyroscope:4040", 1);
	setenv("PYROSCOPE_BASIC_AUTH_USER", "user", 1);
	setenv("PYROSCOPE_BASIC_AUTH_PASSWORD", "geheim", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), 0, "%s", config.error);
	cr_assert_eq(config.server_count, 1);
	cr_assert_str_eq(config.pushes[0].url, "http://pyroscope:4040");
	cr_assert_str_eq(config.pushes[0].basic_user, "user");
	cr_assert_str_eq(config.pushes[0].basic_password, "geheim");
	cr_assert_str_eq(config.pushes[0].application, "program");
}

/* What is only meant for others is no half of a server of ours. */
Test(config, users_of_others_without_a_server_are_nothing, .init = clean, .fini = clean)
{
	setenv("PYROSCOPE_BASIC_AUTH_USER", "user", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), 0, "%s", config.error);
	cr_assert_eq(config.server_count, 0);
}

Test(config, a_token_of_ours_takes_the_place_of_their_user, .init = clean, .fini = clean)
{
	setenv("PYROSCOPE_SERVER_ADDRESS", "http://pyroscope:4040", 1);
	setenv("PYROSCOPE_BASIC_AUTH_USER", "user", 1);
	setenv("PYROSCOPE_BASIC_AUTH_PASSWORD", "geheim", 1);
	setenv("RPCPROF_BEARER_FILE", "/dev/null", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), 0, "%s", config.error);
	cr_assert_null(config.pushes[0].basic_user);
}

Test(config, every_kind_of_value_reaches_its_field, .init = clean, .fini = clean)
{
	cr_assert_eq(read_with("interval: 1m\n"
	                       "capacity: 1000\n"
	                       "keep_bytes: 3GiB\n"
	                       "sync: true\n"
	                       "enabled: false\n"
	                       "label_keys: [tenant, region]\n"
	                       "directory: /tmp/x\n"
	                       "on_fork: restart\n"
	                       "stop_timeout: 200ms\n"
	                       "servers:\n"
	                       "- url: http://a\n"
	                       "  protocol: ingest_form\n"
	                       "  max_age: 10m\n"
	                       "  jitter: 7ms\n"
	                       "  queue_bytes: 1MiB\n"
	                       "  headers: ['A: 1', 'B: 2, 3']\n"
	                       "- {url: http://b, retry_uncertain: true, spool: /tmp/y, label_values: 7}\n",
	                       NULL, 0),
	             0, "%s", config.error);
	cr_assert_eq(config.exporter.interval_s, 60);
	cr_assert_eq(config.recording.capacity, 1000);
	cr_assert_eq(config.exporter.keep_bytes, 3ull << 30);
	cr_assert_eq(config.exporter.sync, 1);
	cr_assert_eq(config.enabled, 0);
	cr_assert_str_eq(config.exporter.label_keys[0], "tenant");
	cr_assert_str_eq(config.exporter.label_keys[1], "region");
	cr_assert_null(config.exporter.label_keys[2]);
	cr_assert_str_eq(config.exporter.directory, "/tmp/x");
	cr_assert_eq(config.on_fork, CONFIG_FORK_RESTART);
	cr_assert_eq(config.stop_timeout_ms, 200);
	cr_assert_eq(config.server_count, 2);
	cr_assert_eq(config.pushes[0].protocol, RPCPROF_PUSH_INGEST_FORM);
	cr_assert_eq(config.pushes[0].max_age_s, 600);
	cr_assert_eq(config.pushes[0].jitter_ms, 7);
	cr_assert_eq(config.pushes[0].queue_bytes, 1u << 20);
	cr_assert_str_eq(config.pushes[0].headers[1], "B: 2, 3");
	cr_assert_eq(config.pushes[1].retry_uncertain, 1);
	cr_assert_str_eq(config.pushes[1].spool, "/tmp/y");
	cr_assert_eq(config.pushes[1].label_values, 7);
}

/* The words of protocols are the numbers of the API, in its order. */
Test(config, protocols_are_those_of_the_api, .init = clean, .fini = clean)
{
	static const char *const words[] = {"pyroscope", "ingest", "ingest_form", "autopgo",
	                                    "parca"};

	setenv("RPCPROF_URL", "http://a", 1);
	for (uint32_t i = RPCPROF_PUSH_PYROSCOPE; i <= RPCPROF_PUSH_PARCA; i++) {
		setenv("RPCPROF_PROTOCOL", words[i], 1);
		cr_assert_eq(read_with(NULL, NULL, 0), 0, "%s", config.error);
		cr_assert_eq(config.pushes[0].protocol, i);
	}
}

/* The first server's keys may come from the environment, a secret above all. */
Test(config, the_environment_completes_the_first_server, .init = clean, .fini = clean)
{
	setenv("RPCPROF_BASIC_PASSWORD", "geheim", 1);
	cr_assert_eq(read_with("servers:\n- {url: http://a, basic_user: u}\n- url: http://b\n", NULL, 0),
	             0, "%s", config.error);
	cr_assert_str_eq(config.pushes[0].basic_password, "geheim");
	cr_assert_null(config.pushes[1].basic_password);
}

/* The table's defaults are those that the libraries fill in. */
static uint64_t number_of(const void *base, const struct config_key *key)
{
	uint32_t word;
	uint64_t number;

	memcpy(&word, (const char *)base + key->offset, sizeof(word));
	memcpy(&number, (const char *)base + key->offset, key->bytes == 8 ? 8 : 4);
	return key->bytes == 8 ? number : word;
}

Test(config, defaults_of_the_table_are_true, .init = clean, .fini = clean)
{
	static struct config full;
	struct rpcprof_push_config push = {.size = sizeof(push), .url = "http://a"}, full_push;
	char why[CONFIG_WHY];
	uint64_t number;
	int compared = 0;

	cr_assert_eq(rpcprof_exporter_complete(&full.exporter, NULL), 0);
	cr_assert_eq(rpcprof_push_complete(&full_push, &push), 0);
	cr_assert_eq(rpcprof_init(NULL), 0);
	full.recording.size = sizeof(full.recording);
	cr_assert_eq(rpcprof_get_config(&full.recording), 0);
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	full.enabled = config.enabled;
	full.on_fork = config.on_fork;
	full.stop_timeout_ms = config.stop_timeout_ms;
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->otherwise == NULL)
			continue;
		cr_assert_null(config_value_check(key, key->otherwise, &number, why), "%s", key->name);
		if (key->type == CONFIG_SECONDS)
			number /= 1000;
		cr_assert_eq(number_of(key->of_server ? (void *)&full_push : (void *)&full, key),
		             number, "%s", key->name);
		compared++;
	}
	cr_assert_gt(compared, 20);
}

/* Its limits are not wider than those of the libraries. */
Test(config, limits_of_the_table_are_taken, .init = clean, .fini = clean)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		for (int end = 0; end < 2 && key->most != 0; end++) {
			struct rpcprof_push_config push = {.size = sizeof(push), .url = "http://a"};
			struct rpcprof_push_config full_push;
			struct rpcprof_exporter_config full;
			struct rpcprof_memory memory;
			uint64_t number = end == 0 ? key->least : key->most;
			uint32_t word;

			config_clear(&config);
			config.exporter.size = sizeof(config.exporter);
			config.recording.size = sizeof(config.recording);
			push.backoff_min_ms = 1;
			push.backoff_max_ms = 3600000;
			if (key->type == CONFIG_SECONDS)
				number /= 1000;
			word = (uint32_t)number;
			memcpy((key->of_server ? (char *)&push : (char *)&config) + key->offset,
			       key->bytes == 8 ? (void *)&number : (void *)&word, key->bytes);
			cr_assert_eq(rpcprof_push_complete(&full_push, &push), 0, "%s", key->name);
			cr_assert_eq(rpcprof_exporter_complete(&full, &config.exporter), 0, "%s",
			             key->name);
			cr_assert_eq(rpcprof_memory_needed(&config.recording, &memory), 0, "%s",
			             key->name);
		}
	}
}

/* FILE stands for the file's name. */
static const struct {
	const char *yaml, *error;
} mistakes[] = {
	{"sync: true\nintervall: 10s\n", "FILE:2: \"intervall\": unknown key"},
	{"interval: 10s\nlabels: {a: b}\ninterval: 20s\n", "FILE:3: \"interval\": it is there twice"},
	{"\ninterval: 10\n", "FILE:2: interval \"10\": write a whole number and ms, s, m or h"},
	{"interval: 1500ms\n", "FILE:1: interval \"1500ms\": it is to be whole seconds"},
	{"interval: 0s\n", "it is to be within 1s and 24h"},
	{"interval: -5s\n", "write a whole number"},
	{"interval: 99999999999999999999s\n", "within 1s and 24h"},
	{"interval: 9999999999999999h\n", "within 1s and 24h"},
	{"interval: [10s]\n", "FILE:1: \"interval\": write one value, not a list or a mapping"},
	{"interval:\n", "FILE:1: \"interval\": it has no value"},
	{"interval: ''\n", "FILE:1: interval \"\": it is empty"},
	{"keep_files: many\n", "keep_files \"many\": write a whole number"},
	{"keep_bytes: 3MB\n", "keep_bytes \"3MB\": write a whole number of bytes, or one of KiB"},
	{"aggregate_bytes: 1KiB\n", "within 256KiB and 4GiB"},
	{"sync: maybe\n", "sync \"maybe\": write true or false"},
	{"on_fork: perhaps\n", "on_fork \"perhaps\": write one of: off restart"},
	{"label_keys: one\n", "FILE:1: \"label_keys\": write a list"},
	{"label_keys: [a, [b]]\n", "its items are to be texts of one line"},
	{"labels: [a]\n", "FILE:1: \"labels\": write a mapping"},
	{"labels: {a: [b]}\n", "a label's value is to be a text"},
	{"labels: {a-b: c}\n", "FILE:1: label \"a-b\": its name has a character other than"},
	{"labels: {service_name: c}\n", "set application instead"},
	{"url: http://a\n", "FILE:1: \"url\": it is a key of servers"},
	{"servers: http://a\n", "FILE:1: \"servers\": write a list"},
	{"servers: [http://a]\n", "FILE:1: \"servers\": write each as a mapping"},
	{"servers:\n- url: http://a\n- \n", "\"servers\": write each as a mapping"},
	{"servers:\n- url: http://a\n  interval: 5s\n", "FILE:3: \"interval\": it is not a key of one"},
	{"servers:\n- tenant: x\n", "FILE:2: tenant is set, but no url"},
	{"servers:\n- url: http://a\n- tenant: x\n", "FILE:3: tenant is set, but no url"},
	{"servers:\n- url: localhost:4040\n", "url \"localhost:4040\": it is not http://host:port"},
	{"servers:\n- url: http://u:geheim@host\n",
	 "FILE:2: url \"http://********@host\": it has a user in it"},
	{"servers:\n- url: http://host/?token=geheim\n", "url \"http://host/?********\": it has a query"},
	{"servers:\n- {url: http://a, headers: [geheim]}\n", "headers \"********\": write each as Name"},
	{"servers:\n- {url: http://a, basic_password: geheim}\n", "basic_password is set, but not basic_user"},
	{"servers:\n- {url: http://a, basic_password: \"ge\\theim\"}\n",
	 "basic_password \"********\": it has a control character"},
	{"servers:\n- {url: http://a, cert_file: /dev/null}\n", "cert_file is set, but not key_file"},
	{"servers:\n- {url: http://a, bearer_file: /nowhere}\n",
	 "bearer_file \"/nowhere\": it cannot be read: No such file"},
	{"servers:\n- {url: http://a, bearer_file: /tmp}\n", "bearer_file \"/tmp\": it is a directory"},
	{"servers:\n- {url: http://a, bearer_file: /dev/null, basic_user: a, basic_password: b}\n",
	 "bearer_file is set, and basic_user by FILE:2: keep one"},
	{"servers:\n- {url: http://a, backoff_min: 2m}\n", "backoff_min is over backoff_max (1m by default)"},
	{"servers:\n- {url: http://a, protocol: autopgo}\napplication: A\n",
	 "FILE:3: application \"A\": autopgo takes a-z, 0-9 and - only"},
	{"labels: {a: 'x,y'}\nservers:\n- {url: http://a, protocol: ingest}\n",
	 "FILE:1: label \"a\": its value has a comma"},
	{"a: [\n", "it is no YAML"},
	{"a: \"\x01\"\n", "it is no YAML"},
	{"- a\n", "FILE:1: the file: it is to be a mapping"},
	{"? [a]\n: b\n", "has a key that is no text"},
	{"sync: true\n---\nsync: false\n", "it has a second document"},
};

Test(config, mistakes_in_a_file_are_told_with_their_line, .init = clean, .fini = clean)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		char wanted[512];
		const char *text = mistakes[i].error, *file = strstr(text, "FILE");

		cr_assert_eq(read_with(mistakes[i].yaml, NULL, 0), -EINVAL, "%s", mistakes[i].yaml);
		if (file != NULL)
			snprintf(wanted, sizeof(wanted), "%.*s%s%s", (int)(file - text), text, path,
			         file + 4);
		else
			snprintf(wanted, sizeof(wanted), "%s", text);
		cr_assert_not_null(strstr(config.error, wanted), "%s: %s", mistakes[i].yaml,
		                   config.error);
		cr_assert_null(strstr(config.error, "geheim"), "%s", config.error);
	}
}

Test(config, mistakes_in_variables_are_told_by_their_names, .init = clean, .fini = clean)
{
	static const char *const wrong[][3] = {
		{"RPCPROF_INTERVAL", "", "RPCPROF_INTERVAL: interval \"\": it is empty"},
		{"RPCPROF_KEEP_FILES", "0", "RPCPROF_KEEP_FILES: keep_files \"0\": it is to be within 1"},
		{"RPCPROF_LABELS", "a", "RPCPROF_LABELS: labels \"a\": write name=value,name=value"},
		{"RPCPROF_LABELS", "a=", "RPCPROF_LABELS: label \"a\": its value is empty"},
		{"RPCPROF_LABEL_KEYS", "", "RPCPROF_LABEL_KEYS: label_keys \"\": it is empty"},
		{"RPCPROF_LABEL_KEYS", "a,b,c,d,e,f,g,h,i", "at most"},
		{"RPCPROF_BEARER_FILE", "/nowhere", "RPCPROF_BEARER_FILE: bearer_file \"/nowhere\""},
		{"RPCPROF_TENANT", "x", "RPCPROF_TENANT: tenant is set, but no url"},
		{"RPCPROF_CONFIG", "", "RPCPROF_CONFIG is empty"},
		{"PYROSCOPE_SERVER_ADDRESS", "pyroscope", "PYROSCOPE_SERVER_ADDRESS: url \"pyroscope\""},
		{"PYROSCOPE_LABELS", "a-b=c", "PYROSCOPE_LABELS: label \"a-b\""},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv(wrong[i][0], wrong[i][1], 1);
		cr_assert_eq(read_with(NULL, NULL, 0), -EINVAL, "%s", wrong[i][0]);
		cr_assert_not_null(strstr(config.error, wrong[i][2]), "%s", config.error);
		unsetenv(wrong[i][0]);
	}
}

/* A stronger source does not hide a mistake of ours, but one of others is not ours to tell. */
Test(config, what_is_not_used_is_wrong_all_the_same, .init = clean, .fini = clean)
{
	const struct rpcprof_setting setting = {"interval", "5s"};

	setenv("RPCPROF_INTERVAL", "soon", 1);
	cr_assert_eq(read_with(NULL, &setting, 1), -EINVAL);
	unsetenv("RPCPROF_INTERVAL");
	setenv("RPCPROF_URL", "http://a", 1);
	setenv("PYROSCOPE_SERVER_ADDRESS", "nonsense", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), 0, "%s", config.error);
}

Test(config, settings_of_the_program_are_checked, .init = clean, .fini = clean)
{
	const struct rpcprof_setting none = {"ulr", "http://a"}, without = {"url", NULL};

	cr_assert_eq(read_with(NULL, &none, 1), -EINVAL);
	cr_assert_not_null(strstr(config.error, "settings[0]: key \"ulr\""), "%s", config.error);
	cr_assert_eq(read_with(NULL, &without, 1), -EINVAL);
}

Test(config, variables_that_are_none_are_noted, .init = clean, .fini = clean)
{
	setenv("RPCPROF_ULR", "http://a", 1);
	setenv("RPCPROF_LOG", "1", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), 0);
	cr_assert_not_null(strstr(config.notes, "RPCPROF_ULR is no variable of rpcprof"));
	cr_assert_null(strstr(config.notes, "RPCPROF_LOG"));
}

Test(config, files_that_cannot_be_read_are_named, .init = clean, .fini = clean)
{
	setenv("RPCPROF_CONFIG", "/nowhere/rpcprof.yaml", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), -ENOENT);
	cr_assert_not_null(strstr(config.error, "/nowhere/rpcprof.yaml: it cannot be read: No such"),
	                   "%s", config.error);
	setenv("RPCPROF_CONFIG", "/tmp", 1);
	cr_assert_eq(read_with(NULL, NULL, 0), -EISDIR);
}

Test(config, more_labels_than_a_profile_takes_are_refused, .init = clean, .fini = clean)
{
	char labels[256] = "a0=x";

	for (int i = 1; i <= RPCPROF_PUSH_LABELS_MAX; i++)
		sprintf(labels + strlen(labels), ",a%d=x", i);
	setenv("RPCPROF_LABELS", labels, 1);
	cr_assert_eq(read_with(NULL, NULL, 0), -EINVAL);
	cr_assert_not_null(strstr(config.error, "label \"a16\": there are more than 16"), "%s",
	                   config.error);
}

Test(config, an_empty_file_says_nothing, .init = clean, .fini = clean)
{
	cr_assert_eq(read_with("# nothing\n", NULL, 0), 0);
	cr_assert_eq(config.server_count, 0);
}
