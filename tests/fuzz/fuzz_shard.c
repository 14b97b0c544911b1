/*
 * A tar shard as a helper reads its headers, and the index of one as the server maps it: the first byte
 * says which of them the rest is.
 */
#include "fuzz.h"

#include "base/io.h"
#include "server/files.h"
#include "server/shard_index.h"
#include "server/shard_reader.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int shard, made;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	shard = memfd_create("shard", MFD_CLOEXEC);
	made = memfd_create("index", MFD_CLOEXEC);
	FUZZ_CHECK(shard >= 0 && made >= 0);
	return 0;
}

static void put(int fd, const uint8_t *data, size_t size)
{
	FUZZ_CHECK(!ftruncate(fd, 0));
	FUZZ_CHECK(!pwrite_full(fd, data, size, 0));
}

/* What is found of an index, sound or not, lies in it, and in the shard. */
static void look_up(const struct shard_index *index, bool sound)
{
	const char *name;
	char before[SHARD_NAME_MAX + 1] = "";

	for (uint64_t i = 0; i < index->header->count && i < 1000; i++) {
		const struct shard_entry *entry = shard_index_at(index, i, &name);

		FUZZ_CHECK(entry || !sound);
		if (!entry)
			continue;
		FUZZ_CHECK(entry->offset <= index->header->shard &&
			   entry->size <= index->header->shard - entry->offset);
		FUZZ_CHECK(strlen(name) == entry->length);
		shard_entry_check(entry, name, NULL);
		if (!sound) {
			shard_index_find(index, name);
			continue;
		}
		FUZZ_CHECK(files_name_plain(name));
		FUZZ_CHECK(strcmp(before, name) < 0);
		FUZZ_CHECK(shard_index_find(index, name) == entry);
		strcpy(before, name);
	}
	for (uint64_t i = 0; i < index->header->images && i < 1000; i++) {
		name = shard_index_image(index, i);
		FUZZ_CHECK(name ? files_image_extension(name) || !sound : !sound);
		FUZZ_CHECK(!sound || shard_index_image_behind(index, name) == i + 1);
	}
	FUZZ_CHECK(!shard_index_image(index, index->header->images));
	FUZZ_CHECK(!sound || !shard_index_image_behind(index, ""));
	shard_index_image_behind(index, "a/0001.png");
	shard_index_find(index, "");
	shard_index_find(index, "a/0001.png");
}

static void read_tar(const uint8_t *data, size_t size)
{
	struct shard_content content;
	struct shard_index index;
	uint8_t *block;
	off_t end;

	put(shard, data, size);
	FUZZ_CHECK(!shard_read(shard, size, &content, NULL));
	FUZZ_CHECK(content.header.count <= size / 512);
	FUZZ_CHECK(!ftruncate(made, 0) && lseek(made, 0, SEEK_SET) == 0);
	FUZZ_CHECK(!shard_content_write(&content, made));
	shard_content_release(&content);
	end = lseek(made, 0, SEEK_END);
	block = malloc((size_t)end);
	FUZZ_CHECK(block && pread_full(made, block, (size_t)end, 0) == end);
	index = (struct shard_index){.header = (const void *)block, .size = (size_t)end};
	FUZZ_CHECK(shard_index_check(&index));
	look_up(&index, true);
	free(block);
}

static void map_index(const uint8_t *data, size_t size)
{
	struct shard_index index = {.size = size};
	uint8_t *block = malloc(size ? size : 1);

	FUZZ_CHECK(block);
	memcpy(block, data, size);
	index.header = (const void *)block;
	if (shard_index_check(&index))
		look_up(&index, false);
	free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		map_index(data + 1, size - 1);
	else
		read_tar(data + 1, size - 1);
	return 0;
}
