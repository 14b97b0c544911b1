#include "shm/names.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMESPACE_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static const struct {
	const char *prefix, *suffix;
	bool indexed;
} kinds[] = {
	[OBJECT_REQUEST] = {"SEM_", "_REQ", false},
	[OBJECT_RESPONSE] = {"SEM_", "_RES", true},
	[OBJECT_HEAD] = {"SEG_", "_HEAD", false},
	[OBJECT_DATA] = {"SEG_", "_DATA", true},
	[OBJECT_INDEX] = {"SEG_", "_INDEX", false},
};

static bool is_semaphore(enum object_kind kind)
{
	return kind == OBJECT_REQUEST || kind == OBJECT_RESPONSE;
}

int namespace_parse(const char *text, struct name_space *ret, struct error *err)
{
	struct name_space space = {0};
	char shown[4 * 40 + 1];
	size_t length;

	if (!text)
		text = getenv(NAMESPACE_VARIABLE);
	if (!text)
		text = NAMESPACE_DEFAULT;
	length = strlen(text);
	if (!length)
		return error_set(err, STATUS_USAGE, "the namespace is empty");
	if (length > NAMESPACE_MAX)
		return error_set(err, STATUS_USAGE,
			"the namespace '%s' is %zu bytes long; %d are allowed",
			text_escape(text, length, shown, sizeof shown), length, NAMESPACE_MAX);
	for (size_t i = 0; i < length; i++)
		space.text[i] = text[i] == '/' ? '_' : text[i];
	if (strspn(space.text, NAMESPACE_BYTES) != length)
		return error_set(err, STATUS_USAGE,
			"the namespace '%s' has a byte other than A-Z, a-z, 0-9, '.', '_', '-' and "
			"'/'",
			text_escape(text, length, shown, sizeof shown));
	*ret = space;
	return STATUS_OK;
}

const char *object_name(const struct name_space *space, enum object_kind kind, unsigned index,
	char name[OBJECT_NAME_SIZE])
{
	if (kinds[kind].indexed && index)
		snprintf(name, OBJECT_NAME_SIZE, "/%s%s:%u%s", kinds[kind].prefix, space->text,
			index, kinds[kind].suffix);
	else
		snprintf(name, OBJECT_NAME_SIZE, "/%s%s%s", kinds[kind].prefix, space->text,
			kinds[kind].suffix);
	return name;
}

const char *object_file(const struct name_space *space, enum object_kind kind, unsigned index,
	char file[OBJECT_FILE_SIZE])
{
	char name[OBJECT_NAME_SIZE];

	object_name(space, kind, index, name);
	snprintf(file, OBJECT_FILE_SIZE, "%s%s", is_semaphore(kind) ? SEMAPHORE_FILE_PREFIX : "",
		name + 1);
	return file;
}

/* Cuts ":<k>" off the end of `space`; k has no leading zero and fits. False if what is there is no
 * such index. */
static bool take_index(char *space, unsigned *ret)
{
	char *colon = strchr(space, ':'), again[16];
	unsigned long index;

	*ret = 0;
	if (!colon)
		return true;
	if (strlen(colon + 1) > 9)
		return false;
	index = strtoul(colon + 1, NULL, 10);
	snprintf(again, sizeof again, "%lu", index);
	if (!index || strcmp(again, colon + 1))
		return false;
	*colon = '\0';
	*ret = (unsigned)index;
	return true;
}

bool object_file_parse(const char *file, struct name_space *ret_space, enum object_kind *ret_kind,
	unsigned *ret_index)
{
	bool semaphore = !strncmp(file, SEMAPHORE_FILE_PREFIX, strlen(SEMAPHORE_FILE_PREFIX));
	const char *name = semaphore ? file + strlen(SEMAPHORE_FILE_PREFIX) : file;
	size_t length = strlen(name);

	for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
		size_t before = strlen(kinds[kind].prefix), after = strlen(kinds[kind].suffix);
		char space[NAMESPACE_MAX + 16] = {0};
		unsigned index;

		if (is_semaphore((enum object_kind)kind) != semaphore || length <= before + after ||
			length - before - after >= sizeof space ||
			strncmp(name, kinds[kind].prefix, before) ||
			strcmp(name + length - after, kinds[kind].suffix))
			continue;
		memcpy(space, name + before, length - before - after);
		if (!take_index(space, &index) || (index && !kinds[kind].indexed) || !space[0] ||
			strlen(space) > NAMESPACE_MAX ||
			strspn(space, NAMESPACE_BYTES) != strlen(space))
			continue;
		strcpy(ret_space->text, space);
		*ret_kind = (enum object_kind)kind;
		*ret_index = index;
		return true;
	}
	return false;
}
