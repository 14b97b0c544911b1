/* Command lines against a table with an option of every kind. */
#include "fuzz.h"

#include "cli/command.h"

#include <string.h>

struct options {
	bool flag, off;
	const char *text, *optional;
	uint64_t number, size, duration;
};

static const struct option_row rows[] = {
	{'f', "flag", NULL, "", OPTION_FLAG, offsetof(struct options, flag), 0, 0, NULL},
	{0, "no-off", NULL, "", OPTION_OFF, offsetof(struct options, off), 0, 0, NULL},
	{'t', "text", "TEXT", "", OPTION_TEXT, offsetof(struct options, text), 0, 0, NULL},
	{'o', "optional", "[TEXT]", "", OPTION_TEXT, offsetof(struct options, optional), 0, 0,
		"left"},
	{'n', "number", "N", "", OPTION_NUMBER, offsetof(struct options, number), 2, 99, NULL},
	{'s', "size", "SIZE", "", OPTION_SIZE, offsetof(struct options, size), 0, 0, NULL},
	{0, "duration", "SEC", "", OPTION_DURATION, offsetof(struct options, duration), 0, 0, NULL},
	{0, NULL, NULL, NULL, OPTION_FLAG, 0, 0, 0, NULL},
};

static const struct command command = {.name = "fuzz",
	.summary = "",
	.synopsis = "",
	.options = rows,
	.options_size = sizeof(struct options)};

/* Every NUL ends a word. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum {
		WORDS = 16
	};
	char *text = malloc(size + 1), *words[WORDS + 2] = {(char[]){"fuzz"}};
	struct options options = {.off = true};
	struct error err = {0};
	int count = 1, first, status;
	bool help;

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && count <= WORDS; at += strlen(text + at) + 1)
		words[count++] = text + at;
	status = options_parse(&command, count, words, &options, &first, &help, &err);
	if (status) {
		FUZZ_CHECK(status == STATUS_USAGE && err.text[0]);
	} else if (!help) {
		FUZZ_CHECK(first >= 1 && first <= count);
		FUZZ_CHECK(!options.number || (options.number >= 2 && options.number <= 99));
		FUZZ_CHECK(!words[count]);
	}
	free(text);
	return 0;
}
