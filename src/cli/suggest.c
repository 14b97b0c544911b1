#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX     32
#define DISTANCE_MAX 2

static size_t least(size_t a, size_t b, size_t c)
{
	size_t first = a < b ? a : b;

	return first < c ? first : c;
}

/* Letters to put in, take out or exchange to make one of the other (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	size_t rows[2][WORD_MAX + 1], length = strlen(b);

	if (strlen(a) > WORD_MAX || length > WORD_MAX)
		return WORD_MAX;
	for (size_t at = 0; at <= length; at++)
		rows[0][at] = at;
	for (size_t i = 0; a[i]; i++) {
		size_t *last = rows[i % 2], *row = rows[(i + 1) % 2];

		row[0] = i + 1;
		for (size_t at = 0; at < length; at++)
			row[at + 1] = least(
				last[at + 1] + 1, row[at] + 1, last[at] + (a[i] != b[at]));
	}
	return rows[strlen(a) % 2][length];
}

void suggest_try(const char *word, const char *candidate, const char **best)
{
	size_t now = distance(word, candidate);

	/* Half of a short word may be wrong, and no more. */
	if (now > DISTANCE_MAX || now * 2 > strlen(candidate))
		return;
	if (!*best || now < distance(word, *best))
		*best = candidate;
}

const char *suggest_text(const char *best, const char *dashes, char text[SUGGEST_SIZE])
{
	if (best)
		snprintf(text, SUGGEST_SIZE, ", did you mean '%s%s'?", dashes, best);
	else
		strcpy(text, ";");
	return text;
}
