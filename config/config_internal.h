/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CONFIG_INTERNAL_H
#define RPCPROF_CONFIG_INTERNAL_H

/*
 * What is configured, and from where.
 *
 * One table of keys (keys.c) is all that readers, `rpcprof config` and the documents know of them.
 * Sources are read from the strongest to the weakest, and what is set stays: precedence is the
 * order of the calls in config_read().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/agent.h"
#include "rpcprof/control.h"
#include "rpcprof/pull.h"

#define CONFIG_SERVERS_MAX 8
#define CONFIG_KEYS_MAX 64
#define CONFIG_PREFIX "RPCPROF_"      /* of a variable: then the key in capitals */
#define CONFIG_FILE_VARIABLE "RPCPROF_CONFIG"
#define CONFIG_WHY 192

enum config_type {
	CONFIG_TEXT,
	CONFIG_SECRET,  /* text that is never shown */
	CONFIG_URL,
	CONFIG_FILE,    /* has to be readable */
	CONFIG_COUNT,
	CONFIG_BYTES,
	CONFIG_MS,      /* a duration, in a field of milliseconds */
	CONFIG_SECONDS, /* in one of seconds */
	CONFIG_FLAG,
	CONFIG_CHOICE,  /* the n-th word of choices is n */
	CONFIG_LIST,
	CONFIG_HEADERS, /* a list of which only the names are shown */
	CONFIG_LABELS
};

enum config_on_fork { CONFIG_FORK_OFF, CONFIG_FORK_RESTART };

struct config_key {
	const char *name;
	enum config_type type;
	bool of_server;        /* a key of each server */
	size_t offset, bytes;  /* the field: of struct rpcprof_push_config, else of struct config */
	uint64_t least, most;  /* of numbers; of durations in ms */
	const char *choices;   /* separated by blanks */
	const char *otherwise; /* the default, as it would be written; NULL: none */
	const char *foreign[2]; /* variables that people have set for others */
	const char *says;      /* one line */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* A value as it was given; items of a list end by '\n'. */
struct config_value {
	char *text;   /* NULL: not set */
	char *source; /* "RPCPROF_URL", "rpcprof.yaml:3" */
	char *cut;    /* the text again; of a list, cut into its items at the end */
	bool foreign; /* set for others */
};

struct config_label {
	char *name;
	struct config_value value;
};

struct config {
	struct config_value values[CONFIG_KEYS_MAX]; /* by the table */
	struct config_value servers[CONFIG_SERVERS_MAX][CONFIG_KEYS_MAX];
	struct config_label labels[RPCPROF_PUSH_LABELS_MAX];
	size_t label_count;
	size_t server_count;
	char error[512];  /* what is wrong, where, and what to do */
	char notes[1024]; /* lines of what was ignored, and why */

	/* Made of it by config_finish(); strings are those above. */
	struct rpcprof_config recording;
	struct rpcprof_exporter_config exporter;
	struct rpcprof_pull_config pull; /* address NULL: none */
	struct rpcprof_push_config pushes[CONFIG_SERVERS_MAX];
	struct rpcprof_label push_labels[RPCPROF_PUSH_LABELS_MAX];
	const char *application;
	uint32_t enabled, on_fork, stop_timeout_ms;
};

/* Everything, from all sources. `program`: what the application is called if nobody says. 0,
 * -EINVAL or -ENOMEM with config->error; to be cleared in any case. */
int config_read(struct config *config, const struct rpcprof_agent_config *agent,
                const char *program);
void config_clear(struct config *config);

/* Whether an environment asks for profiles to be sent or written: cheap, may be wrong to say yes. */
bool config_is_asked_for(void);

/* Variables of ours that are no keys. */
bool config_is_no_key(const char *variable, size_t length);

/* For the readers: 0 or -EINVAL, -ENOMEM with config->error. What has a value keeps it. */
int config_set(struct config *config, size_t server, const struct config_key *key, const char *text,
               const char *source, bool foreign);
int config_set_label(struct config *config, const char *name, const char *value,
                     const char *source, bool foreign);
__attribute__((format(printf, 2, 3))) int config_fail(struct config *config, const char *format,
                                                      ...);
__attribute__((format(printf, 2, 3))) void config_note(struct config *config, const char *format,
                                                       ...);

const struct config_key *config_key_find(const char *name, size_t length);
/* The name of its variable: "RPCPROF_KEEP_FILES". */
void config_key_variable(const struct config_key *key, char *name, size_t size);

/* The readers. */
int config_read_settings(struct config *config, const struct rpcprof_setting *settings,
                         size_t count);
int config_read_environment(struct config *config);
int config_read_file(struct config *config, const char *path);
int config_read_foreign(struct config *config);
/* "a=b,c=d" */
int config_set_labels(struct config *config, const char *text, const char *source, bool foreign);

/* value.c: NULL, or what is wrong with a text, in why. *number: of numbers, flags and choices. */
const char *config_value_check(const struct config_key *key, const char *text, uint64_t *number,
                               char why[CONFIG_WHY]);

/* As people are shown it; to be freed. NULL: no memory. */
char *config_value_show(const struct config_key *key, const char *text);

#endif
