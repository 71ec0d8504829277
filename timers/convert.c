/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks to nanoseconds, by a private copy of the anchors: no shared words here.
 *
 * Segment i reaches from anchor i to the next; the first also backwards without end, the last
 * forwards. A segment has a slope, monotonic nanoseconds per tick, and a UTC slope, which is the
 * same but for what the brackets leave open, so that dates run through the anchors without a jump.
 * UTC minus monotonic changes in no other way than by setting the wall clock: the kernel slews
 * both alike.
 *
 * Wrap-around: ticks are compared by signed difference. See clock.c.
 */
#include "anchors_internal.h"

#include "atomic_internal.h"

#define NS_MAX ((uint64_t)1 << 62)

/* Two truncated clock reads and a truncated product. */
#define ROUNDING_NS 3

/* How much the rate of the kernel's clock may change unseen. NTP at rest moves it by less. */
#define WANDER_PPB 100

uint64_t rpcprof_ticks_to_ns(uint64_t ticks, uint64_t slope)
{
	rpcprof_u128 ns = ((rpcprof_u128)ticks * slope) >> RPCPROF_SLOPE_SHIFT;

	return ns < NS_MAX ? (uint64_t)ns : NS_MAX;
}

static uint64_t slope_of(uint64_t ticks, int64_t ns)
{
	rpcprof_u128 slope;

	if ((int64_t)ticks <= 0 || ns <= 0)
		return 0;
	/* rounded up, so that the product, rounded down, meets the anchor */
	slope = (((rpcprof_u128)(uint64_t)ns << RPCPROF_SLOPE_SHIFT) + ticks - 1) / ticks;
	return slope <= UINT64_MAX ? (uint64_t)slope : 0;
}

uint64_t rpcprof_slope_between(const struct rpcprof_anchor *a, const struct rpcprof_anchor *b)
{
	return slope_of(b->ticks - a->ticks, b->monotonic_ns - a->monotonic_ns);
}

uint64_t rpcprof_slope_error_ppb(const struct rpcprof_anchor *a, const struct rpcprof_anchor *b)
{
	int64_t ns = b->monotonic_ns - a->monotonic_ns;
	uint64_t error = (a->bracket_ns + b->bracket_ns) / 2 + 1;

	if (ns <= 0)
		return RPCPROF_NS_PER_S;
	return (uint64_t)((rpcprof_u128)error * RPCPROF_NS_PER_S / (uint64_t)ns);
}

int64_t rpcprof_anchors_step_ns(const struct rpcprof_anchor *a, const struct rpcprof_anchor *b)
{
	int64_t step = (b->utc_ns - b->monotonic_ns) - (a->utc_ns - a->monotonic_ns);
	uint64_t size = (uint64_t)(step < 0 ? -step : step);
	uint64_t noise = a->bracket_ns > b->bracket_ns ? a->bracket_ns : b->bracket_ns;

	return size > noise + ROUNDING_NS ? step : 0;
}

/* A slope an eighth off, beyond any slewing, means that one of the clocks stood still meanwhile
 * (suspend, a paused guest): then the one since init is the better. */
static uint64_t plausible(uint64_t slope, uint64_t known)
{
	uint64_t apart = slope > known ? slope - known : known - slope;

	return apart <= known / 8 ? slope : known;
}

void rpcprof_map_derive(struct rpcprof_clock_map *map, uint64_t slope, uint64_t error_ppb)
{
	uint32_t last = map->count - 1;

	map->ticks_per_second = (double)RPCPROF_SLOPE_ONE * RPCPROF_NS_PER_S / (double)slope;
	map->frequency_error_ppm = (double)error_ppb / 1000;
	for (uint32_t i = 0; i < last; i++) {
		const struct rpcprof_anchor *a = &map->anchors[i], *b = &map->anchors[i + 1];

		map->slopes[i] = plausible(rpcprof_slope_between(a, b), slope);
		map->utc_slopes[i] = map->slopes[i];
		if (rpcprof_anchors_step_ns(a, b) == 0)
			map->utc_slopes[i] = plausible(slope_of(b->ticks - a->ticks,
			                                        b->utc_ns - a->utc_ns), slope);
	}
	/* the future goes on like the last segment */
	map->slopes[last] = last > 0 ? map->slopes[last - 1] : slope;
	map->utc_slopes[last] = map->slopes[last];
}

/* The segment of a tick. From the newest, where most ticks are. */
static uint32_t segment(const struct rpcprof_clock_map *map, uint64_t ticks)
{
	uint32_t i = map->count;

	while (i > 1 && (int64_t)(ticks - map->anchors[i - 1].ticks) < 0)
		i--;
	return i > 0 ? i - 1 : 0;
}

uint64_t rpcprof_clock_elapsed_ns(const struct rpcprof_clock_map *map, uint64_t origin,
                                  uint64_t ticks)
{
	if ((int64_t)(ticks - origin) <= 0)
		return 0;
	return rpcprof_ticks_to_ns(ticks - origin, map->slopes[segment(map, origin)]);
}

/* How much faster or slower one segment is than the next, beyond what their brackets explain. */
static uint64_t rate_change_ppb(const struct rpcprof_clock_map *map, uint32_t i)
{
	const struct rpcprof_anchor *a = &map->anchors[i];
	uint64_t x = map->slopes[i], y = map->slopes[i + 1];
	uint64_t noise = rpcprof_slope_error_ppb(a, a + 1) + rpcprof_slope_error_ppb(a + 1, a + 2);
	uint64_t ppb = (uint64_t)((rpcprof_u128)(x > y ? x - y : y - x) * RPCPROF_NS_PER_S / x);

	return ppb > noise ? ppb - noise : 0;
}

/* How wrong the rate may be within segment i, as its neighbours tell. If the rate changed once in
 * it, and not in its neighbours, these have the two rates and the segment a mean of them: the
 * larger difference, over the distance to the nearer anchor, is then exactly the worst error. */
static uint64_t rate_doubt_ppb(const struct rpcprof_clock_map *map, uint32_t i)
{
	uint64_t left = i > 0 ? rate_change_ppb(map, i - 1) : 0;
	uint64_t right = i + 2 < map->count ? rate_change_ppb(map, i) : 0;

	uint64_t larger = left > right ? left : right;

	/* A little more, because distances are taken at the mean rate. */
	return larger + larger / 256 + WANDER_PPB;
}

static uint64_t part(uint64_t ns, uint64_t ppb)
{
	return (uint64_t)((rpcprof_u128)ns * ppb / RPCPROF_NS_PER_S);
}

/* Between anchor i and the next. */
static uint64_t error_inside(const struct rpcprof_clock_map *map, uint32_t i, uint64_t ticks)
{
	const struct rpcprof_anchor *a = &map->anchors[i], *b = a + 1;
	uint64_t near = rpcprof_ticks_to_ns(ticks - a->ticks, map->slopes[i]);
	uint64_t left = rpcprof_ticks_to_ns(b->ticks - ticks, map->slopes[i]);
	uint64_t bracket = a->bracket_ns > b->bracket_ns ? a->bracket_ns : b->bracket_ns;
	int64_t step = rpcprof_anchors_step_ns(a, b);

	/* The last segment has no neighbour to the right that would show a late change. */
	if (left < near && i + 2 < map->count)
		near = left;
	return (bracket + 1) / 2 + part(near, rate_doubt_ppb(map, i)) +
	       (uint64_t)(step < 0 ? -step : step);
}

/* Before the first anchor or after the last one, by the slope of the segment beside it. */
static uint64_t error_outside(const struct rpcprof_clock_map *map, uint32_t i, uint64_t distance)
{
	uint32_t beside = i > 0 ? i - 1 : 0;
	const struct rpcprof_anchor *a = &map->anchors[beside];
	uint64_t ppb = (uint64_t)(map->frequency_error_ppm * 1000) + WANDER_PPB;

	if (map->count > 1)
		ppb = rpcprof_slope_error_ppb(a, a + 1) + rate_doubt_ppb(map, beside);
	return (map->anchors[i].bracket_ns + 1) / 2 + part(distance, ppb);
}

int64_t rpcprof_clock_utc_ns(const struct rpcprof_clock_map *map, uint64_t ticks,
                             uint64_t *error_ns)
{
	uint32_t i = segment(map, ticks);
	const struct rpcprof_anchor *anchor = &map->anchors[i];
	bool before = (int64_t)(ticks - anchor->ticks) < 0;
	uint64_t distance = before ? anchor->ticks - ticks : ticks - anchor->ticks;
	int64_t ns = (int64_t)rpcprof_ticks_to_ns(distance, map->utc_slopes[i]);

	if (error_ns && (before || i + 1 >= map->count))
		*error_ns = error_outside(map, i, (uint64_t)ns) + ROUNDING_NS;
	else if (error_ns)
		*error_ns = error_inside(map, i, ticks) + ROUNDING_NS;
	return anchor->utc_ns + (before ? -ns : ns);
}

/* The inverse of rpcprof_ticks_to_ns(): the fewest ticks that make ns. */
static uint64_t ns_to_ticks(uint64_t ns, uint64_t slope)
{
	rpcprof_u128 ticks;

	if (slope == 0)
		return 0;
	ticks = (((rpcprof_u128)ns << RPCPROF_SLOPE_SHIFT) + slope - 1) / slope;
	return ticks <= INT64_MAX ? (uint64_t)ticks : INT64_MAX;
}

uint64_t rpcprof_clock_ticks_at(const struct rpcprof_clock_map *map, int64_t utc_ns)
{
	const struct rpcprof_anchor *anchor;
	uint32_t i = map->count;
	uint64_t ticks;

	while (i > 1 && map->anchors[i - 1].utc_ns > utc_ns)
		i--;
	i = i > 0 ? i - 1 : 0;
	anchor = &map->anchors[i];
	if (utc_ns < anchor->utc_ns) {
		/* the most ticks that do not make a nanosecond more */
		ticks = anchor->ticks + 1 - ns_to_ticks((uint64_t)(anchor->utc_ns - utc_ns) + 1,
		                                        map->utc_slopes[i]);
	} else {
		ticks = anchor->ticks + ns_to_ticks((uint64_t)(utc_ns - anchor->utc_ns),
		                                    map->utc_slopes[i]);
		if (i + 1 < map->count && (int64_t)(ticks - anchor[1].ticks) > 0)
			ticks = anchor[1].ticks;
	}
	return ticks + (ticks == 0);
}
