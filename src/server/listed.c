#include "server/listed.h"

#include "base/cleanup.h"
#include "exchange/request.h"

#include <stdlib.h>
#include <string.h>

void listed_release(struct listed *list)
{
	for (size_t i = 0; i < list->count; i++)
		shard_index_drop(list->shards[i].index);
	free(list->shards);
	free(list->copies);
	free(list->text);
	*list = (struct listed){0};
}

/* Where a mount's own name stands in the list; its end if there is none. */
static size_t find_mount(const struct listed *list, const char *mount)
{
	size_t at = 0;

	while (at < list->size && strcmp(list->text + at, mount) != 0)
		at += strlen(list->text + at) + 1;
	return at;
}

bool listed_insert(struct listed *list, const char *mount, const char *text, size_t size)
{
	size_t at = *mount ? find_mount(list, mount) : 0;
	size_t length = at < list->size ? strlen(mount) + 1 : 0;
	size_t rest = list->size - at - length;
	char *made = malloc(list->size + size + 1);

	if (!made)
		return false;
	if (at)
		memcpy(made, list->text, at);
	if (size)
		memcpy(made + at, text, size);
	if (rest)
		memcpy(made + at + size, list->text + at + length, rest);
	free(list->text);
	list->text = made;
	list->size = at + size + rest;
	return true;
}

/* Of the shard's name and the '/' behind it. */
static size_t shard_length(const struct listed *list, size_t shard)
{
	return strlen(list->text + list->shards[shard].at) - strlen(LISTED_MEMBERS);
}

bool listed_find_shards(struct listed *list)
{
	const char *const end = "/" LISTED_MEMBERS;
	size_t room = 0;

	for (size_t at = 0, length; at < list->size; at += length + 1) {
		length = strlen(list->text + at);
		if (length < strlen(end) || strcmp(list->text + at + length - strlen(end), end))
			continue;
		if (list->count == room) {
			struct listed_shard *shards;

			room = room ? 2 * room : 16;
			shards = reallocarray(list->shards, room, sizeof *shards);
			if (!shards)
				return false;
			list->shards = shards;
		}
		list->shards[list->count++] = (struct listed_shard){.at = at};
	}
	return true;
}

/* Makes room for so many bytes of copies more: one piece of memory for all, as each may be a mapping. */
static bool make_room(struct listed *list, size_t size)
{
	size_t room = 2 * (list->copies_size + size);
	char *copies;

	if (size <= list->copies_room - list->copies_size)
		return true;
	copies = realloc(list->copies, room);
	if (!copies)
		return false;
	list->copies = copies;
	list->copies_room = room;
	return true;
}

bool listed_add_images(struct listed *list, size_t shard, struct shard_index *index)
{
	struct listed_shard *to = &list->shards[shard];
	size_t size = 0;
	const char *name;

	if (list->indexes < list->indexes_max) {
		list->indexes++;
		to->index = shard_index_hold(index);
		return true;
	}
	for (uint64_t i = 0; (name = shard_index_image(index, i)); i++)
		size += strlen(name) + 1;
	if (!make_room(list, size))
		return false;
	to->copy = list->copies_size;
	to->copied = size;
	for (uint64_t i = 0; (name = shard_index_image(index, i)); i++) {
		strcpy(list->copies + list->copies_size, name);
		list->copies_size += strlen(name) + 1;
	}
	return true;
}

/* The image that stands there in the shard, and where the next does; NULL behind the last. */
static const char *image_at(const struct listed *list, const struct listed_shard *shard,
	uint64_t image, uint64_t *ret_next)
{
	const char *name;

	if (shard->index) {
		*ret_next = image + 1;
		return shard_index_image(shard->index, image);
	}
	if (image == shard->copied)
		return NULL;
	name = list->copies + shard->copy + image;
	*ret_next = image + strlen(name) + 1;
	return name;
}

static uint64_t image_behind(
	const struct listed *list, const struct listed_shard *shard, const char *last)
{
	if (shard->index)
		return shard_index_image_behind(shard->index, last);
	return shard->copied ? request_names_behind(list->copies + shard->copy, shard->copied, last)
			     : 0;
}

/* Where a name stands. */
struct place {
	size_t at;      /* in the text */
	size_t shard;   /* the first that is not before that */
	uint64_t image; /* if it stands there: of this shard, as image_at has it */
};

static struct place place_behind(const struct listed *list, const char *last)
{
	size_t at = request_names_behind(list->text, list->size, last), low = 0;
	size_t high = list->count;
	struct place place;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list->shards[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	place = (struct place){.at = at, .shard = low};
	if (low && !strncmp(list->text + list->shards[low - 1].at, last,
			   shard_length(list, low - 1))) {
		const struct listed_shard *shard = &list->shards[--place.shard];

		place.at = shard->at;
		place.image = image_behind(list, shard, last + shard_length(list, place.shard));
	}
	return place;
}

/* The next name of the shard that stands there; NULL behind the last. */
static const char *next_member(
	const struct listed *list, struct place *place, char name[WIRE_NAME_MAX + 1])
{
	const struct listed_shard *shard = &list->shards[place->shard];
	size_t length = shard_length(list, place->shard);
	const char *member;

	while ((member = image_at(list, shard, place->image, &place->image))) {
		if (length + strlen(member) > WIRE_NAME_MAX)
			continue; /* nobody can ask for it */
		memcpy(name, list->text + shard->at, length);
		strcpy(name + length, member);
		return name;
	}
	return NULL;
}

/* The name that stands there; `place` is the next one's then. NULL at the end. */
static const char *next_name(
	const struct listed *list, struct place *place, char name[WIRE_NAME_MAX + 1])
{
	while (place->at < list->size) {
		const char *here = list->text + place->at, *member;
		bool plain = place->shard == list->count ||
			     list->shards[place->shard].at != place->at;

		member = plain ? NULL : next_member(list, place, name);
		if (member)
			return member;
		place->at += strlen(here) + 1;
		if (plain)
			return here;
		place->shard++;
		place->image = 0;
	}
	return NULL;
}

size_t listed_page(const struct listed *list, const char *last, char *page, size_t room)
{
	struct place place = place_behind(list, last);
	char buffer[WIRE_NAME_MAX + 1];
	const char *name;
	size_t used = 0;

	while ((name = next_name(list, &place, buffer))) {
		size_t length = strlen(name) + 1 - list->hidden;

		if (used + length > room)
			break;
		memcpy(page + used, name + list->hidden, length);
		used += length;
	}
	return used;
}

char *listed_copy(const struct listed *list, size_t *ret_size)
{
	char buffer[WIRE_NAME_MAX + 1];
	struct place place = {0};
	AUTO_FREE char *copy = NULL;
	size_t size = 0, room = 0;
	const char *name;

	do {
		size_t length;
		char *grown = copy;

		name = next_name(list, &place, buffer);
		length = name ? strlen(name) + 1 - list->hidden : 1;
		if (size + length > room) {
			room = 2 * (room + length);
			grown = realloc(copy, room);
		}
		if (!grown)
			return NULL;
		copy = grown;
		if (name) {
			memcpy(copy + size, name + list->hidden, length);
			size += length;
		}
	} while (name);
	*ret_size = size;
	return steal_pointer(&copy);
}
