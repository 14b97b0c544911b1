#include "server/shards.h"

#include "base/hash.h"
#include "base/hash_table.h"
#include "base/text.h"
#include "server/shard_index.h"
#include "server/shard_name.h"
#include "server/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN 256

/* A shard with its index. */
struct shard {
	struct hash_table_link by_name;
	struct shard *older, *newer; /* by last use */
	struct shard_index *index;   /* NULL as long as it is not there */
	struct watched_file *file;
	uint64_t changes;  /* watch_changes(file) before it was read */
	uint64_t expected; /* when `file` and `changes` became these: an index of before is none */
	struct file_key key;
	struct file_key damaged; /* of which it was told that it is damaged */
	bool listed;             /* no request has used it yet */
	bool recent; /* the shard was changed shortly before it was read: the key proves nothing */
	size_t length;
	char name[];
};

struct shards {
	struct hash_table by_name;
	struct shard *oldest, *newest;
	uint64_t bytes;
	uint64_t now; /* goes up with each change of what is expected */
	struct watch *watch;
};

struct shards *shards_new(struct watch *watch)
{
	struct shards *shards = calloc(1, sizeof *shards);

	if (shards)
		shards->watch = watch;
	return shards;
}

static void unlink_used(struct shards *shards, struct shard *shard)
{
	*(shard->older ? &shard->older->newer : &shards->oldest) = shard->newer;
	*(shard->newer ? &shard->newer->older : &shards->newest) = shard->older;
}

/* What only lists need is the oldest of all. */
static void link_used(struct shards *shards, struct shard *shard)
{
	shard->older = shard->listed ? NULL : shards->newest;
	shard->newer = shard->listed ? shards->oldest : NULL;
	*(shard->older ? &shard->older->newer : &shards->oldest) = shard;
	*(shard->newer ? &shard->newer->older : &shards->newest) = shard;
}

/* It is used; `listed`: by a list only. */
static void touch(struct shards *shards, struct shard *shard, bool listed)
{
	unlink_used(shards, shard);
	shard->listed &= listed;
	link_used(shards, shard);
}

static void drop_index(struct shards *shards, struct shard *shard)
{
	shards->bytes -= shard->index ? shard->index->size : 0;
	shard_index_drop(shard->index);
	shard->index = NULL;
}

static void drop(struct shards *shards, struct shard *shard)
{
	hash_table_remove(&shards->by_name, &shard->by_name);
	unlink_used(shards, shard);
	drop_index(shards, shard);
	watch_drop(shards->watch, shard->file);
	free(shard);
}

struct shards *shards_free(struct shards *shards)
{
	if (!shards)
		return NULL;
	while (shards->oldest)
		drop(shards, shards->oldest);
	hash_table_release(&shards->by_name);
	free(shards);
	return NULL;
}

/* The one of that name; NULL if there is none. */
static struct shard *find(struct shards *shards, const char *name, size_t length)
{
	struct hash_table_link *at = hash_table_first(&shards->by_name, hash_keyed(name, length));

	for (; at; at = hash_table_next(at)) {
		struct shard *shard = HASH_TABLE_ITEM(at, struct shard, by_name);

		if (shard->length == length && !memcmp(shard->name, name, length))
			return shard;
	}
	return NULL;
}

/* One of that name, without an index; NULL when out of memory. */
static struct shard *add(struct shards *shards, const struct resolved *file)
{
	struct shard *shard = malloc(sizeof *shard + file->shard);

	if (!shard)
		return NULL;
	while (shards->by_name.count >= SHARDS_MAX && !file->listed)
		drop(shards, shards->oldest);
	*shard = (struct shard){.length = file->shard, .listed = file->listed};
	memcpy(shard->name, file->path, file->shard);
	hash_table_add(&shards->by_name, &shard->by_name, hash_keyed(shard->name, shard->length));
	link_used(shards, shard);
	return shard;
}

/* It comes from a process that reads what anybody may have made. */
static const char *shown_fault(const char *fault)
{
	return text_is_plain(fault, strlen(fault)) ? fault : "it is damaged";
}

uint64_t shards_now(const struct shards *shards)
{
	return shards->now;
}

/* The parts of the name that come before a shard are folders, whatever they were. */
static void drop_above(struct shards *shards, const struct resolved *file)
{
	struct shard *above;

	for (size_t at = 0; (at = shard_name_part(file->path, at)) && at < file->shard;) {
		above = find(shards, file->path, at);
		if (above)
			drop(shards, above);
	}
}

/* Tells of a version of the shard that could not be read to its end, once. */
static void tell_damage(struct shard *shard, struct error *ret)
{
	const char *fault = shard->index->header->fault;
	char shown[NAME_SHOWN];

	if (!*fault || !memcmp(&shard->damaged, &shard->key, sizeof shard->key))
		return;
	shard->damaged = shard->key;
	error_set(ret, STATUS_BAD_DATA,
		"%s: %s; nothing from there on is served: copy or make the shard anew",
		text_escape(shard->name, shard->length, shown, sizeof shown), shown_fault(fault));
}

bool shards_put(struct shards *shards, const struct resolved *file, uint64_t since, int fd,
	struct error *ret_damage)
{
	struct shard *shard = find(shards, file->path, file->shard);
	struct shard_index *index = shard_index_map(fd);

	ret_damage->status = STATUS_OK;
	if (!index)
		return false;
	if (index->header->shard != file->key.size) {
		shard_index_drop(index);
		errno = EBADMSG;
		return false;
	}
	if (!shard)
		shard = add(shards, file);
	if (!shard) {
		shard_index_drop(index);
		errno = ENOMEM;
		return false;
	}
	if (shard->expected > since) {
		shard_index_drop(index);
		return true;
	}
	drop_above(shards, file);
	drop_index(shards, shard);
	touch(shards, shard, file->listed);
	while (!shard->listed && shards->oldest != shard &&
		shards->bytes + index->size > SHARD_INDEX_MAX)
		drop(shards, shards->oldest);
	shard->index = index;
	shard->key = file->key;
	shard->recent = file->recent;
	shards->bytes += index->size;
	tell_damage(shard, ret_damage);
	return true;
}

/* An index that is made from now on will be one of the file as it is watched now. One that is on its way
 * stays welcome if nothing is known to have happened since. */
static void expect(struct shards *shards, struct shard *shard, const struct resolved *file)
{
	if (!shard && file->watched)
		shard = add(shards, file);
	if (!shard)
		return;
	drop_index(shards, shard);
	if (shard->file == file->watched && shard->changes == watch_changes(file->watched))
		return;
	watch_hold(file->watched);
	watch_drop(shards->watch, shard->file);
	shard->file = file->watched;
	shard->changes = watch_changes(file->watched);
	shard->expected = ++shards->now;
}

/* The member by the name as it is, or else with an extension, which is added to file->path. */
static const struct shard_entry *find_member(const struct shard *shard, struct resolved *file)
{
	const char *member = file->path + file->shard + 1;
	const struct shard_entry *entry = shard_index_find(shard->index, member);
	size_t length = strlen(file->path);
	const char *extension;

	if (entry || files_has_extension(member))
		return entry;
	for (unsigned i = 0; !entry && (extension = files_extension(i)); i++) {
		if (length + strlen(extension) >= sizeof file->path)
			break;
		strcpy(file->path + length, extension);
		entry = shard_index_find(shard->index, member);
	}
	if (!entry)
		file->path[length] = '\0';
	return entry;
}

static int look_up(const struct shard *shard, struct resolved *file, struct error *err)
{
	const struct shard_entry *entry = find_member(shard, file);
	const char *fault = shard->index->header->fault;
	char shown[NAME_SHOWN];

	text_escape(file->path, strlen(file->path), shown, sizeof shown);
	if (!entry && *fault)
		return error_set(err, STATUS_BAD_DATA,
			"%s: not in what can be read of the shard: %s", shown, shown_fault(fault));
	if (!entry)
		return error_set(err, STATUS_NOT_FOUND, "%s: no such image in the shard", shown);
	file->offset = entry->offset;
	file->size = entry->size;
	return shard_entry_check(entry, shown, err);
}

bool shards_find(struct shards *shards, struct resolved *file, bool asked, int *ret_status,
	struct error *err)
{
	struct shard *shard = find(shards, file->path, file->shard);

	if (shard && !file->listed)
		touch(shards, shard, false);
	if (!shard || !shard->index || memcmp(&shard->key, &file->key, sizeof file->key) != 0 ||
		shard->file != file->watched || shard->changes != watch_changes(shard->file)) {
		expect(shards, shard, file);
		return false;
	}
	if (shard->recent && !asked)
		return false;
	*ret_status = look_up(shard, file, err);
	return true;
}

struct shard_index *shards_index(struct shards *shards, const struct resolved *file)
{
	struct shard *shard = file->shard ? find(shards, file->path, file->shard) : NULL;

	return shard ? shard->index : NULL;
}

void shards_taken(struct shards *shards, const char *name, size_t length)
{
	struct shard *shard = find(shards, name, length);

	if (shard && shard->listed &&
		(shards->by_name.count > SHARDS_MAX || shards->bytes > SHARD_INDEX_MAX))
		drop(shards, shard);
}

bool shards_guess(struct shards *shards, const char *name, bool asked, struct resolved *ret)
{
	*ret = (struct resolved){.fd = -1};
	if (strlen(name) >= sizeof ret->path)
		return false;
	strcpy(ret->path, name);
	for (size_t at = 0; (at = shard_name_part(name, at));) {
		struct shard *shard = find(shards, name, at);

		if (!shard || !shard->index)
			continue;
		if (shard->recent && !asked)
			return false;
		ret->shard = at;
		ret->key = shard->key;
		if (look_up(shard, ret, NULL))
			ret->size = 0;
		return true;
	}
	return false;
}
