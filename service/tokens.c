/* SPDX-License-Identifier: Apache-2.0 */
/* Who may: the same for whatever carries the services. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "rpcprof/control.h"
#include "rpcprof/service.h"

static int refuse(const char *what)
{
	rpcprof_log(RPCPROF_LOG_ERROR, "service: %s", what);
	return -EINVAL;
}

static bool has_good_length(const char *token)
{
	size_t bytes = token != NULL ? strlen(token) : RPCPROF_TOKEN_MIN;

	return bytes >= RPCPROF_TOKEN_MIN && bytes <= RPCPROF_TOKEN_MAX;
}

int rpcprof_tokens_validate(const struct rpcprof_tokens *tokens)
{
	if (!has_good_length(tokens->read) || !has_good_length(tokens->control))
		return refuse("a token has 16 to 256 bytes");
	if (tokens->read != NULL && tokens->control != NULL &&
	    strcmp(tokens->read, tokens->control) == 0)
		return refuse("the tokens to read and to control are the same");
	return 0;
}

/* Whether they are the same. Looks at all bytes that there could be, whatever they are: the time
 * tells nothing of how far a guess was right, nor of its length. */
static unsigned same(const char *secret, const volatile unsigned char *guess, size_t guess_bytes)
{
	unsigned char padded[RPCPROF_TOKEN_MAX] = {0};
	size_t bytes = secret != NULL ? strlen(secret) : 0;
	unsigned difference = bytes != guess_bytes || bytes < RPCPROF_TOKEN_MIN;

	if (secret != NULL)
		memcpy(padded, secret, bytes < sizeof(padded) ? bytes : sizeof(padded));
	for (size_t i = 0; i < sizeof(padded); i++)
		difference |= padded[i] ^ guess[i];
	return difference == 0;
}

enum rpcprof_permission rpcprof_tokens_check(const struct rpcprof_tokens *tokens,
                                             const char *token, size_t bytes)
{
	unsigned char guess[RPCPROF_TOKEN_MAX] = {0};
	unsigned read, control;

	if (token == NULL)
		bytes = 0;
	memcpy(guess, token != NULL ? token : "", bytes < sizeof(guess) ? bytes : sizeof(guess));
	read = same(tokens->read, guess, bytes);
	control = same(tokens->control, guess, bytes);
	return (enum rpcprof_permission)(control * RPCPROF_MAY_CONTROL | read * !control);
}

const char *rpcprof_bearer_token(const char *value, size_t *bytes)
{
	static const char scheme[] = "Bearer ";
	const size_t scheme_bytes = sizeof(scheme) - 1;

	if (*bytes < scheme_bytes || strncasecmp(value, scheme, scheme_bytes) != 0)
		return NULL;
	*bytes -= scheme_bytes;
	return value + scheme_bytes;
}

static bool is_local(const char *address)
{
	static const char *const begins[] = {"unix:",       "unix-abstract:",  "ipv4:127.",
	                                     "ipv6:[::1]:", "ipv6:%5B::1%5D:", "ipv6:[::ffff:127."};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(address, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

enum rpcprof_permission rpcprof_peer_check(const struct rpcprof_tokens *tokens,
                                           const struct rpcprof_peer *peer)
{
	bool local = is_local(peer->address);
	enum rpcprof_permission permission;

	if (tokens->read == NULL && tokens->control == NULL)
		return local ? RPCPROF_MAY_CONTROL : RPCPROF_MAY_NOTHING;
	permission = rpcprof_tokens_check(tokens, peer->token, peer->token_bytes);
	return local || peer->encrypted ? permission : RPCPROF_MAY_NOTHING;
}
