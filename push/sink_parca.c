/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parca's ProfileStoreService/WriteRaw. It is to be had by gRPC, by gRPC-Web and as JSON; gRPC is
 * what its own agents speak and its hosted kin take, and a unary call is one POST of HTTP/2.
 */
#include "push/sink_internal.h"

#include <stdlib.h>

#include "parca_push.pb-c.h"
#include "push/labels_internal.h"

typedef Parca__Push__WriteRawRequest WriteRawRequest;
typedef Parca__Push__RawProfileSeries Series;
typedef Parca__Push__LabelSet LabelSet;
typedef Parca__Push__Label Label;
typedef Parca__Push__RawSample RawSample;

#define PREFIX_BYTES 5 /* of a message of gRPC: not compressed, and its length */

static void set_labels(const struct rpcprof_session *session, Label *labels, Label **pointers)
{
	for (size_t i = 0; i < session->label_count; i++) {
		labels[i] = (Label)PARCA__PUSH__LABEL__INIT;
		labels[i].name = (char *)session->labels[i].name;
		labels[i].value = (char *)session->labels[i].value;
		pointers[i] = &labels[i];
	}
}

/* With its prefix. malloc'ed; NULL: no memory. */
static uint8_t *pack_message(const WriteRawRequest *request, size_t *length)
{
	size_t size = protobuf_c_message_get_packed_size(&request->base);
	uint8_t *bytes = malloc(PREFIX_BYTES + size);

	if (bytes == NULL)
		return NULL;
	bytes[0] = 0;
	for (int i = 0; i < 4; i++)
		bytes[1 + i] = (uint8_t)(size >> (24 - 8 * i));
	protobuf_c_message_pack(&request->base, bytes + PREFIX_BYTES);
	*length = PREFIX_BYTES + size;
	return bytes;
}

static uint8_t *pack(const struct rpcprof_session *session, size_t *length)
{
	Label labels[RPCPROF_LABEL_SET_MAX], *label_list[RPCPROF_LABEL_SET_MAX];
	LabelSet set = PARCA__PUSH__LABEL_SET__INIT;
	RawSample sample = PARCA__PUSH__RAW_SAMPLE__INIT, *samples[] = {&sample};
	Series series = PARCA__PUSH__RAW_PROFILE_SERIES__INIT, *series_list[] = {&series};
	WriteRawRequest request = PARCA__PUSH__WRITE_RAW_REQUEST__INIT;

	set_labels(session, labels, label_list);
	set.labels = label_list;
	set.n_labels = session->label_count;
	sample.raw_profile.data = (uint8_t *)session->bytes;
	sample.raw_profile.len = session->length;
	series.labels = &set;
	series.samples = samples;
	series.n_samples = 1;
	request.series = series_list;
	request.n_series = 1;
	request.normalized = true;
	return pack_message(&request, length);
}

enum rpcprof_delivery rpcprof_sink_parca(void *arg, const struct rpcprof_session *session,
                                         struct rpcprof_reply *reply)
{
	struct rpcprof_http_request request = {
		.path = "/parca.profilestore.v1alpha1.ProfileStoreService/WriteRaw",
		.content_type = "application/grpc+proto",
		.answer_type = "application/grpc", .grpc = true};

	request.body = pack(session, &request.length);
	return rpcprof_sink_ask(arg, &request, reply);
}
