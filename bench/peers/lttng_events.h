/* SPDX-License-Identifier: Apache-2.0 */
/* The two events. Read several times over by LTTng's own headers. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER rpcprof_bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "./lttng_events.h"

#if !defined(BENCH_LTTNG_EVENTS_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_LTTNG_EVENTS_H

#include <lttng/tracepoint.h>
#include <stdint.h>

LTTNG_UST_TRACEPOINT_EVENT(rpcprof_bench, begin, LTTNG_UST_TP_ARGS(uint32_t, tag),
                           LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint32_t, tag, tag)))
LTTNG_UST_TRACEPOINT_EVENT(rpcprof_bench, end, LTTNG_UST_TP_ARGS(uint32_t, tag),
                           LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(uint32_t, tag, tag)))

#endif

#include <lttng/tracepoint-event.h>
