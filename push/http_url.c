/* SPDX-License-Identifier: Apache-2.0 */
#include "push/http_internal.h"

#include <string.h>

/* curl says CURLUE_OK for "localhost:4040", scheme "localhost". */
const char *rpcprof_http_check_url(const char *text)
{
	CURLU *url = curl_url();
	char *scheme = NULL, *user = NULL, *query = NULL;
	const char *wrong = NULL;

	if (url == NULL)
		return "there is no memory to look at it";
	if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		wrong = "it is not http://host:port or https://host:port";
	else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
		wrong = "it has a user in it: use basic_user and basic_password";
	else if (curl_url_get(url, CURLUPART_QUERY, &query, 0) == CURLUE_OK)
		wrong = "it has a query";
	curl_free(scheme);
	curl_free(user);
	curl_free(query);
	curl_url_cleanup(url);
	return wrong;
}
