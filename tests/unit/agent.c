/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: all that is configured runs, or nothing. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rpcprof/agent.h"
#include "rpcprof/pull.h"
#include "rpcprof/rpcprof.h"

static char error[512];

static int start(const char *key, const char *value)
{
	const struct rpcprof_setting setting = {key, value};
	const struct rpcprof_agent_config config = {.size = sizeof(config), .settings = &setting,
	                                            .setting_count = 1, .error = error,
	                                            .error_bytes = sizeof(error)};

	return rpcprof_agent_start(&config);
}

static bool exporter_runs(void)
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	cr_assert_eq(rpcprof_exporter_get_stats(&stats), 0);
	return stats.running;
}

static bool pull_runs(void)
{
	struct rpcprof_pull_stats stats = {.size = sizeof(stats)};

	cr_assert_eq(rpcprof_pull_get_stats(&stats), 0);
	return stats.running;
}

Test(agent, a_mistake_does_not_even_initialise)
{
	struct rpcprof_config now = {.size = sizeof(now)};

	cr_assert_eq(start("interval", "soon"), -EINVAL);
	cr_assert_not_null(strstr(error, "the program: interval \"soon\": write"), "%s", error);
	cr_assert_eq(rpcprof_get_config(&now), -ENODEV);
	cr_assert_eq(rpcprof_agent_stop(0), 0);
}

Test(agent, pulls_are_answered_while_it_runs)
{
	cr_assert_eq(start("pull", "127.0.0.1:0"), 0, "%s", error);
	cr_assert(pull_runs());
	cr_assert(rpcprof_enabled());
	cr_assert_eq(start("pull", "127.0.0.1:0"), -EALREADY);
	cr_assert_eq(rpcprof_agent_stop(0), 0);
	cr_assert(!pull_runs());
}

Test(agent, where_nobody_can_pull_nothing_runs)
{
	setenv("RPCPROF_URL", "http://127.0.0.1:1", 1);
	cr_assert_eq(start("pull", "nonsense"), -EINVAL);
	cr_assert_not_null(strstr(error, "pull \"nonsense\""), "%s", error);
	cr_assert(!exporter_runs());
	cr_assert_null(rpcprof_agent_push(0));
	unsetenv("RPCPROF_URL");
}

Test(agent, an_exporter_of_the_program_is_left_alone)
{
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_exporter_start(NULL), 0);
	setenv("RPCPROF_URL", "http://127.0.0.1:1", 1);
	cr_assert_eq(start("interval", "5s"), -EALREADY);
	cr_assert(exporter_runs());
	cr_assert_eq(rpcprof_exporter_stop(), 0);
	cr_assert_eq(start("interval", "5s"), 0, "%s", error);
	cr_assert_not_null(rpcprof_agent_push(0));
	cr_assert_null(rpcprof_agent_push(1));
	cr_assert_eq(rpcprof_agent_stop(0), 0);
	cr_assert_null(rpcprof_agent_push(0));
	unsetenv("RPCPROF_URL");
}
