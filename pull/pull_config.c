/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pull/pull_internal.h"
#include "rpcprof/control.h"

#define DEFAULT_ADDRESS "127.0.0.1:6060"

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_pull_start: %s", what);
	return -EINVAL;
}

static bool token_is_good(const char *token)
{
	size_t bytes = token != NULL ? strlen(token) : RPCPROF_TOKEN_MIN;

	return bytes >= RPCPROF_TOKEN_MIN && bytes <= RPCPROF_TOKEN_MAX;
}

static int check(const struct rpcprof_pull_config *config)
{
	const struct rpcprof_tokens *tokens = &config->tokens;

	if (config->connections > PULL_CONNECTIONS_MAX)
		return refuse("connections is over 256");
	if (config->seconds_max > 3600)
		return refuse("seconds_max is over 3600");
	if (!token_is_good(tokens->read) || !token_is_good(tokens->control))
		return refuse("a token has 16 to 256 bytes");
	if (tokens->read != NULL && tokens->control != NULL &&
	    strcmp(tokens->read, tokens->control) == 0)
		return refuse("the tokens to read and to control are the same");
	if ((config->tls_certificate_file == NULL) != (config->tls_key_file == NULL))
		return refuse("TLS takes a certificate and its key");
	return 0;
}

int pull_complete(struct rpcprof_pull_config *full, const struct rpcprof_pull_config *config)
{
	memset(full, 0, sizeof(*full));
	if (config != NULL && (config->size < offsetof(struct rpcprof_pull_config, hosts) ||
	                       config->size > sizeof(*full)))
		return refuse("size is not that of a version of the configuration");
	if (config != NULL)
		memcpy(full, config, config->size);
	if (full->address == NULL)
		full->address = DEFAULT_ADDRESS;
	if (full->connections == 0)
		full->connections = 32;
	if (full->seconds_max == 0)
		full->seconds_max = 600;
	return check(full);
}

/* The strings of a configuration, one after the other; NULL past the last. */
static const char **string_of(struct rpcprof_pull_config *config, size_t i)
{
	const char **strings[] = {&config->address, &config->tokens.read, &config->tokens.control,
	                          &config->tls_certificate_file, &config->tls_key_file};
	const size_t count = sizeof(strings) / sizeof(strings[0]);

	if (i < count)
		return strings[i];
	return i - count < RPCPROF_PULL_HOSTS_MAX ? &config->hosts[i - count] : NULL;
}

int pull_config_own(struct rpcprof_pull_config *config)
{
	const char **string;
	int error = 0;

	for (size_t i = 0; (string = string_of(config, i)) != NULL; i++) {
		const char *text = *string;

		*string = text != NULL && error == 0 ? strdup(text) : NULL;
		if (text != NULL && *string == NULL)
			error = -ENOMEM;
	}
	return error;
}

void pull_config_free(struct rpcprof_pull_config *config)
{
	const char **string;

	for (size_t i = 0; (string = string_of(config, i)) != NULL; i++) {
		char *text = (char *)(uintptr_t)*string;

		if (text != NULL)
			explicit_bzero(text, strlen(text)); /* tokens among them */
		free(text);
		*string = NULL;
	}
}
