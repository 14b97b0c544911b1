#include "base/mountinfo.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS 6 /* in front of the optional ones */

static bool is_octal(const char *text)
{
	for (unsigned i = 0; i < 3; i++)
		if (text[i] < '0' || text[i] > '7')
			return false;
	return true;
}

/* Blanks and the like stand as \040 there. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && is_octal(text + 1)) {
			*to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0');
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /mounted/at rw,noatime shared:1 - tmpfs source options" */
bool mountinfo_parse(char *line, struct mountinfo *ret)
{
	char *end = strstr(line, " - "), *at = line, *fields[FIELDS], *type;

	if (!end)
		return false;
	*end = '\0';
	for (size_t i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&at, " ");
		if (!fields[i])
			return false;
	}
	type = end + strlen(" - ");
	type[strcspn(type, " \n")] = '\0';
	unescape(fields[4]);
	unescape(type);
	*ret = (struct mountinfo){
		.id = strtoull(fields[0], NULL, 10),
		.path = fields[4],
		.type = type,
		.read_only = !strncmp(fields[5], "ro", 2) && (!fields[5][2] || fields[5][2] == ','),
	};
	return true;
}
