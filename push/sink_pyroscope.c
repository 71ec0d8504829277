/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pyroscope's push.v1.PusherService/Push, by unary Connect. One series for each request: of several,
 * some could be stored and the request fail, and to send it again would count those twice.
 */
#include "push/sink_internal.h"

#include <stdlib.h>

#include "push/labels_internal.h"
#include "pyroscope_push.pb-c.h"

typedef Pyroscope__Push__PushRequest PushRequest;
typedef Pyroscope__Push__RawProfileSeries Series;
typedef Pyroscope__Push__LabelPair LabelPair;
typedef Pyroscope__Push__RawSample RawSample;

static void set_labels(const struct rpcprof_session *session, LabelPair *pairs, LabelPair **pointers)
{
	for (size_t i = 0; i < session->label_count; i++) {
		pairs[i] = (LabelPair)PYROSCOPE__PUSH__LABEL_PAIR__INIT;
		pairs[i].name = (char *)session->labels[i].name;
		pairs[i].value = (char *)session->labels[i].value;
		pointers[i] = &pairs[i];
	}
}

/* malloc'ed; NULL: no memory. */
static uint8_t *pack(const struct rpcprof_session *session, size_t *length)
{
	LabelPair pairs[RPCPROF_LABEL_SET_MAX], *pair_list[RPCPROF_LABEL_SET_MAX];
	RawSample sample = PYROSCOPE__PUSH__RAW_SAMPLE__INIT, *samples[] = {&sample};
	Series series = PYROSCOPE__PUSH__RAW_PROFILE_SERIES__INIT, *series_list[] = {&series};
	PushRequest request = PYROSCOPE__PUSH__PUSH_REQUEST__INIT;
	uint8_t *bytes;

	set_labels(session, pairs, pair_list);
	sample.raw_profile.data = (uint8_t *)session->bytes;
	sample.raw_profile.len = session->length;
	series.labels = pair_list;
	series.n_labels = session->label_count;
	series.samples = samples;
	series.n_samples = 1;
	request.series = series_list;
	request.n_series = 1;
	*length = protobuf_c_message_get_packed_size(&request.base);
	bytes = malloc(*length);
	if (bytes != NULL)
		protobuf_c_message_pack(&request.base, bytes);
	return bytes;
}

/* The profile itself is gzipped, so the request is not. */
enum rpcprof_delivery rpcprof_sink_pyroscope(void *arg, const struct rpcprof_session *session,
                                             struct rpcprof_reply *reply)
{
	struct rpcprof_http_request request = {.path = "/push.v1.PusherService/Push",
	                                       .content_type = "application/proto",
	                                       .answer_type = "application/proto"};

	request.body = pack(session, &request.length);
	return rpcprof_sink_ask(arg, &request, reply);
}
