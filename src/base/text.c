#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The bytes of the printable UTF-8 character at `at`, or 0 (RFC 3629: no overlong forms,
 * surrogates, C0 or C1 controls). */
static size_t character_length(const uint8_t *at, size_t left)
{
	uint32_t code;
	size_t length;

	if (at[0] < 0x80)
		return at[0] >= 0x20 && at[0] != 0x7f;
	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		length = 2, code = at[0] & 0x1f;
	else if (at[0] >= 0xe0 && at[0] <= 0xef)
		length = 3, code = at[0] & 0x0f;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		length = 4, code = at[0] & 0x07;
	else
		return 0;
	if (length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	if (code < 0xa0 || (length == 3 && code < 0x800) ||
		(length == 4 && (code < 0x10000 || code > 0x10ffff)) ||
		(code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

/* Printable ASCII, of which nothing is escaped: nearly every text there is. */
static bool is_plain_ascii(const uint8_t *at, size_t length)
{
	bool plain = true;

	for (size_t i = 0; i < length; i++)
		plain &= at[i] >= 0x20 && at[i] < 0x7f && at[i] != '\\';
	return plain;
}

const char *text_escape(const char *text, size_t length, char *buffer, size_t size)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + length;
	size_t used = 0, whole = 0; /* `whole`: where "..." may be put */

	if (!size)
		return buffer;
	if (length < size && is_plain_ascii(at, length)) {
		memcpy(buffer, text, length);
		buffer[length] = '\0';
		return buffer;
	}
	while (at < end) {
		size_t take = *at == '\\' ? 0 : character_length(at, (size_t)(end - at));
		size_t need = take ? take : 4;

		if (used + 3 < size)
			whole = used;
		if (used + need + 1 > size) {
			snprintf(buffer + whole, size - whole, "...");
			return buffer;
		}
		if (take == 1)
			buffer[used] = (char)*at;
		else if (take)
			memcpy(buffer + used, at, take);
		else
			snprintf(buffer + used, size - used, "\\x%02x", *at);
		used += need;
		at += take ? take : 1;
	}
	buffer[used] = '\0';
	return buffer;
}

bool text_is_plain(const char *text, size_t length)
{
	const uint8_t *at = (const uint8_t *)text, *end = at + length;

	while (at < end) {
		size_t take = character_length(at, (size_t)(end - at));

		if (!take)
			return false;
		at += take;
	}
	return true;
}
