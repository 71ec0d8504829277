/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CONTROL_H
#define RPCPROF_CONTROL_H

/*
 * What the application decides: configuration, the switch, the counters.
 *
 * Libraries record; only the application calls init, enable and fini. Until init every recording
 * call is a no-op.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/clock.h"
#include "rpcprof/tag.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** How grave a log message is. */
enum rpcprof_log_level { RPCPROF_LOG_ERROR = 1, RPCPROF_LOG_WARNING = 2, RPCPROF_LOG_INFO = 3 };

/**
 * Receives one message, terminated, without a newline. Rate limited by the library.
 *
 * Called from control-path threads only, never while recording.
 */
typedef void rpcprof_log_fn(void *arg, enum rpcprof_log_level level, const char *message);

#define RPCPROF_CAPACITY_MAX (1u << 24)
#define RPCPROF_CELL_BYTES_MIN 512u
#define RPCPROF_CELL_BYTES_MAX 1216u

/** What rpcprof_init() takes. Set size, leave the rest 0 for the defaults. */
struct rpcprof_config {
	size_t size;            /* sizeof(struct rpcprof_config) */
	uint32_t capacity;      /* N: Stats kept; 1..2^24; default 16384 */
	uint32_t cell_bytes;    /* memory of one Stat, a multiple of 64: 512 .. 1216; default 1088.
	                         * Room for cell_bytes / 32 - 11 timers before folding: 5 .. 27 */
	uint32_t max_in_flight; /* unfinished Stats at one time; default capacity / 4, at least 64 */
	uint32_t single_ring;   /* 1: no second ring. A collector then empties the dump */
	uint32_t clock;         /* enum rpcprof_clock_kind; default AUTO */
	uint32_t tag_entries;   /* default 4096 */
	uint32_t tag_bytes;     /* default 262144 */
	uint32_t method_tags;   /* of tag_entries, for methods; default 1024 */
	uint32_t label_tags;    /* of tag_entries, for label keys and values; default 1024 */
	rpcprof_log_fn *log;    /* default: stderr if RPCPROF_LOG is set, else nowhere */
	void *log_arg;
};

/** Every term of the memory that a configuration takes, bytes. All of it is one mapping, touched
 * only as it is used. */
struct rpcprof_memory {
	uint64_t control; /* control page, shards, per-thread counters */
	uint64_t slots;   /* both rings */
	uint64_t cells;   /* ring slots + max_in_flight + thread stashes, times cell_bytes */
	uint64_t tags;
	uint64_t total;
};

/**
 * What rpcprof_init(config) would map, term by term, without doing it.
 *
 * @param config  NULL for the defaults
 * @return        0, or -EINVAL as rpcprof_init() would; *memory untouched then
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int rpcprof_memory_needed(const struct rpcprof_config *config, struct rpcprof_memory *memory);

/**
 * The process can record now; the switch is off.
 *
 * Once per process, by the application. Takes about 3 ms: it measures the clock's frequency.
 *
 * @param config  NULL for the defaults; copied
 * @return        0 or a negative errno
 *
 * Threads:  one at a time
 * Progress: blocking on the kernel; allocates: one mapping of rpcprof_memory.total bytes
 * Errors:   -EINVAL a field out of range (the log callback names field, value and limit);
 *           -ENOMEM memory cannot be had, nothing is half-initialised, and a smaller
 *           configuration may be tried;
 *           -EALREADY initialised before: the first configuration stays in force, see
 *           rpcprof_get_config();
 *           -EBUSY another copy of the library in this process was initialised (the log names
 *           its file)
 */
int rpcprof_init(const struct rpcprof_config *config);

/**
 * The configuration in force, defaults filled in.
 *
 * @param config  out; set its size before
 * @return        0; -ENODEV before rpcprof_init(), -EINVAL: size is not known; *config untouched
 *
 * Threads:  any
 */
int rpcprof_get_config(struct rpcprof_config *config);

/**
 * Recording is over: the switch goes off for good and the library's threads have ended.
 *
 * Does not unmap: threads may be inside recording calls. Stats in flight may still be ended;
 * drains and snapshots still work. May be called before init and twice.
 *
 * Threads:  any
 * Progress: blocking on the library's threads
 */
void rpcprof_fini(void);

/**
 * Has a function called by rpcprof_fini(): for libraries that run threads on top of this one.
 *
 * @param fn  called once, after the switch went off; must stop its threads and return
 * @return    0; -ENOSPC after 8 functions; -ENODEV before rpcprof_init() or after rpcprof_fini()
 *
 * Threads:  any, but not beside rpcprof_fini()
 */
int rpcprof_at_fini(void (*fn)(void));

/**
 * Gives a message to the log callback of the configuration, at most 10 a second per level.
 *
 * Never call it while recording a call.
 *
 * Threads:  any
 * Progress: blocking on the callback
 */
void rpcprof_log(enum rpcprof_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * The switch. While off, rpcprof_stat_begin() gives the null Stat; a Stat begun while on is
 * recorded to its end.
 *
 * @return  0, or -ENODEV before rpcprof_init() or after rpcprof_fini()
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int rpcprof_enable(bool on);

/**
 * Whether the switch is on.
 *
 * Threads:  any
 * Progress: wait-free: one relaxed load
 */
static inline bool rpcprof_enabled(void)
{
	/* relaxed: guards nothing. A thread may see a flip late; its calls are then recorded, or
	 * not, as if it had begun them a little earlier. */
	return __atomic_load_n(&rpcprof_control_page.head.enabled, __ATOMIC_RELAXED) != 0;
}

/**
 * Makes the calling thread ready, so that its first record allocates nothing and makes no system
 * call. A thread whose signal handlers record must call it first.
 *
 * Threads:  any
 * Progress: wait-free; may allocate once per thread
 */
void rpcprof_thread_prepare(void);

/** Totals since init. pushed = drained + displaced + (what is in the rings), exactly. */
struct rpcprof_counters {
	uint64_t pushed;       /* Stats finished and put into the ring: recorded */
	uint64_t displaced;    /* pushed out by newer ones or for want of cells, undrained */
	uint64_t drained;      /* delivered by rpcprof_drain() */
	uint64_t collected;    /* delivered by rpcprof_collect(), still in the dump */
	uint64_t unaggregated; /* displaced before a running collector saw them */
	uint64_t discarded;    /* rpcprof_stat_discard() */
	uint64_t dropped_no_cell; /* begins that got the null Stat for want of memory */
	uint64_t dropped_timers; /* timers that met an accumulator not yet ready: two threads filled
	                          * one cell at the same instant */
	uint64_t folded;       /* timers of published Stats that went into accumulators */
	uint64_t late;         /* timers, laps, attributes, ends on a Stat that had ended */
	uint64_t double_ends;  /* timers ended twice */
	uint64_t torn;         /* snapshot reads given up because the Stat changed meanwhile */
	uint64_t negative;     /* ends before their begins, shown as 0 */
	uint64_t tag_overflow[RPCPROF_TAG_KINDS]; /* by enum rpcprof_tag_kind */
	uint64_t tags_cut;     /* names longer than the limit */
	uint64_t tags;         /* entries in use */
	uint64_t tag_bytes;    /* bytes in use */
};

/**
 * Reads the counters: each exact, all of them together when nobody records meanwhile.
 *
 * @return  0, or -ENODEV before rpcprof_init(); *counters untouched then
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int rpcprof_counters_get(struct rpcprof_counters *counters);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
