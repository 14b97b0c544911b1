#include "image/profile.h"

#include <stdlib.h>
#include <string.h>

void profile_pieces_add(struct profile_pieces *pieces, const uint8_t *data, size_t size)
{
	enum {
		NAME = 12,
		HEAD = NAME + 2
	};
	unsigned number, count;

	if (size < HEAD || memcmp(data, "ICC_PROFILE", NAME) != 0)
		return;
	number = data[NAME];
	count = data[NAME + 1];
	if (number == 0 || number > count || (pieces->count && pieces->count != count) ||
		pieces->data[number]) {
		pieces->broken = true;
		return;
	}
	pieces->count = count;
	pieces->data[number] = data + HEAD;
	pieces->size[number] = (uint16_t)(size - HEAD);
}

/* Their size; marks them broken if one is missing. */
static size_t total_size(struct profile_pieces *pieces)
{
	size_t size = 0;

	for (unsigned i = 1; i <= pieces->count; i++) {
		if (!pieces->data[i])
			pieces->broken = true;
		size += pieces->size[i];
	}
	return size;
}

int profile_pieces_join(
	struct profile_pieces *pieces, uint8_t **ret, size_t *ret_size, struct error *err)
{
	size_t size = total_size(pieces), at = 0;
	uint8_t *profile = NULL;

	if (size > 0 && !pieces->broken) {
		profile = malloc(size);
		if (!profile)
			return error_set(err, STATUS_TRY_AGAIN, "out of memory");
		for (unsigned i = 1; i <= pieces->count; i++) {
			memcpy(profile + at, pieces->data[i], pieces->size[i]);
			at += pieces->size[i];
		}
	}
	*ret = profile;
	*ret_size = size;
	return STATUS_OK;
}

bool profile_is_for(const void *profile, size_t size, const char *space)
{
	enum {
		COLOUR_SPACE = 16
	};

	return size >= PROFILE_HEADER_SIZE &&
	       memcmp((const char *)profile + COLOUR_SPACE, space, 4) == 0;
}
