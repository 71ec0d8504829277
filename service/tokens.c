/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "rpcprof/service.h"

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
