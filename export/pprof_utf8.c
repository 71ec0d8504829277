/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_model_internal.h"

#include <string.h>

static bool is_continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Source: RFC 3629 section 4. NUL counts as invalid: nothing here can carry it. */
size_t rpcprof_pprof_utf8_next(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t need;

	if (s[0] < 0x80)
		return s[0] != 0;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	need = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0; /* shorter forms exist */
	else if (s[0] == 0xed)
		high = 0x9f; /* surrogates */
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f; /* past U+10FFFF */
	if (length < need || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (!is_continuation(s[i]))
			return 0;
	return need;
}

bool rpcprof_pprof_utf8_valid(const char *text, size_t length)
{
	for (size_t i = 0, step; i < length; i += step) {
		step = rpcprof_pprof_utf8_next(text + i, length - i);
		if (step == 0)
			return false;
	}
	return true;
}

size_t rpcprof_pprof_utf8_repair(char *out, const char *text, size_t length)
{
	size_t used = 0, step;

	for (size_t i = 0; i < length; i += step) {
		step = rpcprof_pprof_utf8_next(text + i, length - i);
		if (step != 0) {
			memcpy(out + used, text + i, step);
			used += step;
		} else {
			memcpy(out + used, "\xef\xbf\xbd", 3);
			used += 3;
			step = 1;
		}
	}
	return used;
}
