/* SPDX-License-Identifier: Apache-2.0 */
#include "export/exporter_internal.h"

/* What a set of labels has for one label: 0 the status, 1 the method, 2 and on the users' keys. */
static uint64_t value_of(const struct rpcprof_series *side, uint32_t label)
{
	const struct rpcprof_series_labels *labels = &side->labels;

	if (label == 0)
		return (uint64_t)labels->has_status << 32 | (uint32_t)labels->status;
	return label == 1 ? labels->method : labels->values[label - 2];
}

static bool seen_before(const struct rpcprof_aggregate *aggregate, uint32_t number, uint32_t label)
{
	uint64_t value = value_of(&aggregate->series[number], label);

	for (uint32_t i = 0; i < number; i++)
		if (aggregate->series[i].depth == 0 && value_of(&aggregate->series[i], label) == value)
			return true;
	return false;
}

static uint32_t values_of(const struct rpcprof_aggregate *aggregate, uint32_t series,
                          uint32_t label)
{
	uint32_t values = 0;

	for (uint32_t i = 0; i < series; i++)
		if (aggregate->series[i].depth == 0 && !seen_before(aggregate, i, label))
			values++;
	return values;
}

const char *rpcprof_exporter_widest_label(const struct rpcprof_aggregate *aggregate,
                                          uint32_t series)
{
	const struct rpcprof_aggregate_options *options = &aggregate->options;
	uint32_t widest = 0, most = 0;

	for (uint32_t label = 0; label < 2 + options->key_count; label++) {
		uint32_t values = values_of(aggregate, series, label);

		if (values > most) {
			most = values;
			widest = label;
		}
	}
	if (widest < 2)
		return widest == 0 ? "rpc_response_status_code" : "rpc_method";
	return rpcprof_tag_name(options->keys[widest - 2], NULL);
}
