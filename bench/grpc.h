/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_GRPC_H
#define BENCH_GRPC_H

/* What bench/grpc.c and the processes that it measures agree upon. */
#define METHOD "/greeter.Greeter/SayHello"
#define OUTSTANDING_MAX 64

enum {
	MODE_SAME = '=',     /* as before */
	MODE_OFF = 'o',      /* the switch is off */
	MODE_ON = 'w',       /* the wrapped calls record, and nothing else */
	MODE_LAPS = 'l',     /* and three laps on the server, two on the client */
	MODE_TIMERS = 't',   /* the wrapped calls, and eight timers a side */
	MODE_EXPORTER = 'e', /* as laps, with an exporter that drains to a profile every second */
};

/* One round's answer, in this order. */
enum {
	CLIENT_NS, /* process CPU time per call */
	SERVER_NS,
	P50_US,
	P99_US,
	CALLS_PER_S,
	CLIENT_RSS_KIB,
	SERVER_RSS_KIB,
	ANSWERS
};

#endif
