/* SPDX-License-Identifier: Apache-2.0 */
/* ?seconds=N: requests that wait, their connections suspended, each with a period of its own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pull/pull_internal.h"
#include "rpcprof/control.h"
#include "service/service_internal.h"

#define SHORTEST_S 1e-3

/* Whether recording may be switched on for it. A page in a browser on this machine could have it ask
 * from here, without reading the answer: the browser says so. */
static bool may_switch(struct pull_request *request)
{
	struct pull *pull = request->pull;
	const char *site = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
	                                               "Sec-Fetch-Site");

	if (request->permission >= RPCPROF_MAY_CONTROL &&
	    (site == NULL || strcmp(site, "none") == 0 || strcmp(site, "same-origin") == 0))
		return true;
	pull_count(pull, &pull->stats.denied, 1);
	pull_say(&request->answer, MHD_HTTP_FORBIDDEN,
	         request->permission >= RPCPROF_MAY_CONTROL
	                 ? "on=1 is not taken from another site's page\n"
	                 : "this token may only read; on=1 takes the control token\n");
	return false;
}

/* *on: whether recording is to be switched on. False: no good, and said so. */
static bool check_switch(struct pull_request *request, bool *on)
{
	const char *text = pull_argument(request, "on");

	*on = text != NULL && strcmp(text, "1") == 0;
	if (text != NULL && !*on) {
		pull_say(&request->answer, MHD_HTTP_BAD_REQUEST, "on: it takes 1, or is left out\n");
		return false;
	}
	if (*on)
		return may_switch(request);
	if (rpcprof_enabled())
		return true;
	pull_say(&request->answer, MHD_HTTP_SERVICE_UNAVAILABLE,
	         "recording is off: add &on=1 to record for that time, or have the program call "
	         "rpcprof_enable(true)\n");
	return false;
}

static void close_window(struct pull_window *window)
{
	rpcprof_period_close(window->period);
	if (window->since != NULL)
		rpcprof_waits_close(window->since);
	free(window->since);
	if (window->holds_switch)
		service_switch_release();
	free(window);
}

static int open_waits(struct pull_window *window, enum rpcprof_waits kind)
{
	window->since = malloc(sizeof(*window->since));
	return window->since != NULL ? rpcprof_waits_look(window->since, kind) : -ENOMEM;
}

/* waits: NULL: calls. */
static int open_window(struct pull_request *request, double seconds, bool on,
                       const enum rpcprof_waits *waits)
{
	struct pull_window *window = calloc(1, sizeof(*window));
	struct pull *pull = request->pull;
	int error = window != NULL ? 0 : -ENOMEM;

	if (error == 0 && on)
		error = service_switch_hold();
	if (error != 0) {
		free(window);
		return error;
	}
	window->holds_switch = on;
	error = waits != NULL ? open_waits(window, *waits)
	                      : rpcprof_period_open(&window->period, RPCPROF_PERIOD_FROM_NOW);
	if (error != 0) {
		close_window(window);
		return error;
	}
	window->until_ns = pull_now_ns() + (int64_t)(seconds * 1e9);
	window->request = request;
	window->next = pull->windows;
	pull->windows = request->window = window;
	pull_count(pull, &pull->stats.windows, 1);
	return 0;
}

static bool ask(struct pull_request *request, double absent, const enum rpcprof_waits *waits)
{
	const char *text = pull_argument(request, "seconds");
	double seconds = absent, most = request->pull->config.seconds_max;
	int error;
	bool on;

	if (text == NULL)
		text = pull_argument(request, "_seconds"); /* Pyroscope's scraper, by its labels */
	if (text == NULL && absent <= 0)
		return false;
	if (text != NULL && !pull_parse_seconds(text, &seconds)) {
		pull_say(&request->answer, MHD_HTTP_BAD_REQUEST,
		         "seconds: it takes a number above 0, such as 10 or 0.5\n");
		return true;
	}
	seconds = seconds < SHORTEST_S ? SHORTEST_S : seconds > most ? most : seconds;
	if (!check_switch(request, &on))
		return true;
	error = open_window(request, seconds, on, waits);
	if (error != 0)
		pull_give(&request->answer, error, NULL);
	return true;
}

bool pull_window_ask(struct pull_request *request, double absent)
{
	return ask(request, absent, NULL);
}

bool pull_window_ask_waits(struct pull_request *request, enum rpcprof_waits kind)
{
	return ask(request, 0, &kind);
}

/* Takes it out of the list; its request goes on with the answer it has. */
static void end_window(struct pull *pull, struct pull_window *window)
{
	struct pull_request *request = window->request;
	struct pull_window **link = &pull->windows;

	while (*link != window)
		link = &(*link)->next;
	*link = window->next;
	close_window(window);
	request->window = NULL;
	pull_count(pull, &pull->stats.windows, -1);
	MHD_resume_connection(request->connection);
}

static int take_waits(const struct rpcprof_waits_look *since, struct rpcprof_profile *profile)
{
	struct rpcprof_waits_look now;
	int error = rpcprof_waits_look(&now, since->kind);

	if (error == 0)
		error = rpcprof_waits_encode(&now, since, &profile->bytes, &profile->length);
	rpcprof_waits_close(&now);
	return error;
}

/* A window without a call is a profile too, without samples: scrapers take no other answer. */
static int take(struct pull_window *window, struct rpcprof_profile *profile)
{
	int error;

	if (window->since != NULL)
		return take_waits(window->since, profile);
	error = rpcprof_period_take(window->period, profile);
	return error == -ENODATA ? rpcprof_period_make(window->period, profile) : error;
}

static void finish(struct pull *pull, struct pull_window *window)
{
	struct pull_request *request = window->request;
	struct rpcprof_profile profile;
	int error = take(window, &profile);

	pull_give(&request->answer, error, &profile);
	end_window(pull, window);
}

int64_t pull_windows_finish(struct pull *pull, int64_t now_ns)
{
	int64_t first = PULL_NEVER;

	for (struct pull_window *next, *window = pull->windows; window != NULL; window = next) {
		next = window->next;
		if (window->until_ns <= now_ns)
			finish(pull, window);
		else if (window->until_ns < first)
			first = window->until_ns;
	}
	return first;
}

size_t pull_windows_poll(const struct pull *pull, struct pollfd *polls)
{
	size_t count = 0;

	for (const struct pull_window *window = pull->windows; window != NULL; window = window->next)
		polls[count++] = (struct pollfd){.fd = window->request->slot->file,
		                                 .events = POLLRDHUP};
	return count;
}

void pull_windows_polled(struct pull *pull, const struct pollfd *polls)
{
	for (struct pull_window *next, *window = pull->windows; window != NULL; window = next) {
		next = window->next;
		if ((polls++)->revents != 0)
			end_window(pull, window); /* without an answer */
	}
}

void pull_windows_stop(struct pull *pull)
{
	while (pull->windows != NULL) {
		pull_say(&pull->windows->request->answer, MHD_HTTP_SERVICE_UNAVAILABLE,
		         "this endpoint ends\n");
		end_window(pull, pull->windows);
	}
}
