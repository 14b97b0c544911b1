/* Namespaces, object names and numbers, as somebody typed them or as they stand in /dev/shm. */
#include "fuzz.h"

#include "base/number.h"
#include "base/text.h"
#include "shm/names.h"

#include <string.h>

static void namespaces(const char *text)
{
	struct name_space space, again;
	char file[OBJECT_FILE_SIZE];
	struct error err = {0};
	int status = namespace_parse(text, &space, &err);

	if (status) {
		FUZZ_CHECK(status == STATUS_USAGE && text_is_plain(err.text, strlen(err.text)));
		return;
	}
	for (unsigned kind = OBJECT_REQUEST; kind <= OBJECT_INDEX; kind++) {
		bool numbered = kind == OBJECT_RESPONSE || kind == OBJECT_DATA;

		for (unsigned index = 0; index <= (numbered ? 1000 : 0); index += 500) {
			enum object_kind found;
			unsigned number;

			object_file(&space, (enum object_kind)kind, index, file);
			FUZZ_CHECK(object_file_parse(file, &again, &found, &number));
			FUZZ_CHECK(!strcmp(again.text, space.text) && found == kind &&
				   number == index);
		}
	}
}

static void files(const char *text)
{
	struct name_space space;
	enum object_kind kind;
	unsigned index;
	char file[OBJECT_FILE_SIZE];

	/* There is one spelling of each object. */
	if (object_file_parse(text, &space, &kind, &index))
		FUZZ_CHECK(!strcmp(object_file(&space, kind, index, file), text));
}

static void numbers(const char *text)
{
	char shown[SIZE_TEXT_SIZE];
	struct error err = {0};
	uint64_t value;

	if (!parse_size(text, "size", &value, &err))
		FUZZ_CHECK(strlen(format_size(value, shown)) < SIZE_TEXT_SIZE);
	else
		FUZZ_CHECK(err.status == STATUS_USAGE);
	if (!parse_duration(text, "duration", &value, &err))
		FUZZ_CHECK(strlen(format_duration(value, shown)) < SIZE_TEXT_SIZE);
	if (!parse_number(text, "number", 3, 12, &value, &err))
		FUZZ_CHECK(value >= 3 && value <= 12);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), escaped[100];

	FUZZ_CHECK(text);
	memcpy(text, data, size);
	text[size] = '\0';
	namespaces(text);
	files(text);
	numbers(text);
	text_escape(text, size, escaped, size % sizeof escaped + 1);
	FUZZ_CHECK(strlen(escaped) <= size % sizeof escaped);
	FUZZ_CHECK(text_is_plain(escaped, strlen(escaped)));
	free(text);
	return 0;
}
