/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoint reads of a request before it answers: the Host header, and seconds. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <locale.h>
#include <string.h>

#include "pull/pull_internal.h"
#include "rpcprof/pull.h"

static struct sockaddr_storage v4(const char *text)
{
	struct sockaddr_storage storage = {.ss_family = AF_INET};
	struct sockaddr_in *address = (struct sockaddr_in *)&storage;

	cr_assert_eq(inet_pton(AF_INET, text, &address->sin_addr), 1);
	return storage;
}

static struct sockaddr_storage v6(const char *text)
{
	struct sockaddr_storage storage = {.ss_family = AF_INET6};
	struct sockaddr_in6 *address = (struct sockaddr_in6 *)&storage;

	cr_assert_eq(inet_pton(AF_INET6, text, &address->sin6_addr), 1);
	return storage;
}

static bool is_ours(const char *host, struct sockaddr_storage local)
{
	const char *const names[] = {"pod-7.example", NULL};

	return pull_host_is_ours(host, (struct sockaddr *)&local, names);
}

Test(pull, host_of_loopback_is_ours)
{
	cr_assert(is_ours("localhost", v4("10.0.0.5")));
	cr_assert(is_ours("LocalHost:6060", v4("10.0.0.5")));
	cr_assert(is_ours("127.3.2.1:1", v4("10.0.0.5")));
	cr_assert(is_ours("[::1]", v4("10.0.0.5")));
	cr_assert(is_ours("[::ffff:127.0.0.1]:6060", v4("10.0.0.5")));
}

Test(pull, host_of_the_address_that_was_reached_is_ours)
{
	cr_assert(is_ours("10.0.0.5:6060", v4("10.0.0.5")));
	cr_assert(is_ours("10.0.0.5", v6("::ffff:10.0.0.5")));
	cr_assert(is_ours("[fd00::5]:6060", v6("fd00::5")));
	cr_assert_not(is_ours("10.0.0.6:6060", v4("10.0.0.5")));
	cr_assert_not(is_ours("[fd00::6]", v6("fd00::5")));
}

Test(pull, host_of_the_configuration_is_ours)
{
	cr_assert(is_ours("POD-7.example:6060", v4("10.0.0.5")));
	cr_assert_not(is_ours("pod-7.example.evil", v4("10.0.0.5")));
	cr_assert_not(is_ours("xpod-7.example", v4("10.0.0.5")));
}

Test(pull, any_other_host_is_not)
{
	const char *const hosts[] = {"", ":", ":6060", "localhost:", "localhost:80:80",
	                             "localhost:8o", "localhost.evil", "127.0.0.1.evil",
	                             "0x7f.0.0.1", "127.1", "[localhost", "[]", "[::1]x",
	                             "[::1]:x", "::1", "::", "fd00::5"};

	cr_assert_not(is_ours(NULL, v4("127.0.0.1")));
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (strcmp(hosts[i], "localhost:") != 0) /* an empty port is the default one */
			cr_assert_not(is_ours(hosts[i], v4("127.0.0.1")), "%s", hosts[i]);
	cr_assert(is_ours("localhost:", v4("127.0.0.1")));
}

static double seconds_of(const char *text)
{
	double seconds = -1;

	return pull_parse_seconds(text, &seconds) ? seconds : -1;
}

Test(pull, seconds_are_decimal)
{
	cr_assert_float_eq(seconds_of("10"), 10, 1e-9);
	cr_assert_float_eq(seconds_of("0.5"), 0.5, 1e-9);
	cr_assert_float_eq(seconds_of("1e+06"), 1e6, 1e-9);
	cr_assert_float_eq(seconds_of("1e 06"), 1e6, 1e-9); /* as it comes if not escaped */
	cr_assert_float_eq(seconds_of("2.5E-1"), 0.25, 1e-9);
}

Test(pull, seconds_do_not_go_by_the_locale)
{
	(void)setlocale(LC_ALL, "de_DE.UTF-8");
	cr_assert_float_eq(seconds_of("0.5"), 0.5, 1e-9);
	cr_assert(seconds_of("0,5") < 0);
}

Test(pull, anything_else_is_no_seconds)
{
	const char *const texts[] = {"", " ", "0", "-0", "-1", "+", "e", ".", "1e", "1s", "inf",
	                             "nan", "0x10", "1e999", "1 2", "1.2.3", "--1",
	                             "11111111111111111111111111111111"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert(seconds_of(texts[i]) < 0, "%s", texts[i]);
}

Test(pull, is_not_there_before_init)
{
	struct rpcprof_pull_stats stats = {.size = sizeof(stats)};

	cr_assert_eq(rpcprof_pull_start(NULL), -ENODEV);
	cr_assert_eq(rpcprof_pull_stop(0), 0);
	cr_assert_eq(rpcprof_pull_get_stats(&stats), 0);
	cr_assert_eq(stats.running, 0);
	stats.size = 1;
	cr_assert_eq(rpcprof_pull_get_stats(&stats), -EINVAL);
}
