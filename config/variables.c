/* SPDX-License-Identifier: Apache-2.0 */
/* Which variables mean anything: all that a program under `rpcprof run` needs of this folder, unless
 * one is set. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config_internal.h"

bool config_is_no_key(const char *variable, size_t length)
{
	static const char *const others[] = {"RPCPROF_LOG", CONFIG_FILE_VARIABLE};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (strlen(others[i]) == length && memcmp(others[i], variable, length) == 0)
			return true;
	return strncmp(variable, "RPCPROF_PRELOAD_", strlen("RPCPROF_PRELOAD_")) == 0;
}

bool config_is_asked_for(void)
{
	if (getenv("PYROSCOPE_SERVER_ADDRESS") != NULL || getenv(CONFIG_FILE_VARIABLE) != NULL)
		return true;
	for (char **line = environ; line != NULL && *line != NULL; line++)
		if (strncmp(*line, CONFIG_PREFIX, strlen(CONFIG_PREFIX)) == 0 &&
		    !config_is_no_key(*line, strcspn(*line, "=")))
			return true;
	return false;
}
