/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_UPLOAD_INTERNAL_H
#define RPCPROF_UPLOAD_INTERNAL_H

/* Profiles to a server, by rpcprof/push.h, one at a time: each is stored, or it is said why not. */
#include "cli/web_internal.h"
#include "export/pprof_model_internal.h"

struct upload {
	const char *url;
	struct web web;
	const char *application; /* NULL: the program that the profile names */
	const char *name, *tenant;
	uint32_t protocol;
	bool now; /* the profile is to end now, whenever it was */
	struct rpcprof_label labels[RPCPROF_PUSH_LABELS_MAX];
	size_t label_count;
	struct rpcprof_push *push;
	bool gave_up; /* the server is not there, or wants nothing now: no use in going on */
};

/* What a profile is stored as: options as a child; its input is a struct upload, zeroed. */
extern const struct argp upload_argp;

/* Each an exit_code; other than EXIT_DONE after a complaint. */
int upload_open(struct upload *upload);
/* path: where the profile is from, for messages. What was stored is said on `out`. The profile may
 * get another time. */
int upload_send(struct upload *upload, const char *path, struct rpcprof_pprof *profile, FILE *out);
void upload_close(struct upload *upload);

#endif
