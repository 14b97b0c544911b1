/* INDEX as a requester reads it: everything in it is somebody else's word. */
#include "fuzz.h"

#include "exchange/index_find.h"
#include "shm/guard.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE     WIRE_PAGE
#define PAGES    32
#define INSTANCE 42
#define NAME     "/SEG_fuzz-index_INDEX"

enum choice {
	CHOOSE_FIT = 1 << 0,  /* the entry is put where the name is looked for, with its hash */
	CHOOSE_MINE = 1 << 1, /* magic, version, page and instance are right */
	CHOOSE_MARK = 1 << 2, /* the marks of the rings are right */
	CHOOSE_CUT = 1 << 3,  /* INDEX is truncated once it is open */
};

/* An input begins with this, or with a part of it. */
struct input {
	uint8_t choice, pages, cut, name_length;
	uint32_t place;
	struct wire_index header;
	uint32_t ring[WIRE_RINGS][4]; /* at the beginning of its page */
	struct wire_entry entry;
};

static struct input input;
static struct segment segment;

static void clean_up(void)
{
	shm_unlink(NAME);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const struct access access = {.mode = 0600, .group = (gid_t)-1};

	(void)argc, (void)argv;
	FUZZ_CHECK(!guard_install(NULL));
	FUZZ_CHECK(!segment_new(PAGES * PAGE, 0, &access, &segment, NULL));
	shm_unlink(NAME);
	FUZZ_CHECK(!segment_publish(&segment, NAME, NULL));
	atexit(clean_up);
	return 0;
}

static void put(size_t offset, const void *bytes, size_t length)
{
	FUZZ_CHECK(offset > PAGES * PAGE || length > PAGES * PAGE - offset ||
		   pwrite(segment.fd, bytes, length, (off_t)offset) == (ssize_t)length);
}

/* Writes what the input says over zeros. */
static void write_index(const struct index_key *key)
{
	const struct wire_ring_mark mark = {WIRE_RING_MAGIC, INSTANCE};
	struct wire_index *header = &input.header;
	uint64_t place = input.place;

	FUZZ_CHECK(!ftruncate(segment.fd, 0));
	FUZZ_CHECK(!ftruncate(segment.fd, (off_t)(1 + input.pages % PAGES) * PAGE));
	if (input.choice & CHOOSE_MINE) {
		header->magic = WIRE_INDEX_MAGIC;
		header->version = WIRE_VERSION;
		header->page = PAGE;
		header->instance = INSTANCE;
	}
	if (input.choice & CHOOSE_FIT && header->entries && header->entries <= 4096) {
		struct index index = {
			.key = {header->key[0], header->key[1]}, .entries = header->entries};

		input.entry.instance = INSTANCE;
		input.entry.hash = index_hash(&index, key);
		input.entry.length = (uint32_t)key->length;
		input.entry.options = key->options;
		memcpy(input.entry.name, key->name, key->length);
		place = index_place(&index, input.entry.hash, input.place % WIRE_INDEX_PROBES);
	}
	put(0, header, sizeof *header);
	for (size_t i = 0; i < WIRE_RINGS; i++) {
		put((1 + i) * PAGE, input.ring[i], sizeof input.ring[i]);
		if (input.choice & CHOOSE_MARK)
			put((2 + i) * PAGE - sizeof mark, &mark, sizeof mark);
	}
	if (place < 4096 && header->table < PAGES * PAGE)
		put(header->table + place * sizeof input.entry, &input.entry, sizeof input.entry);
}

static void look_up(struct index *index, const struct index_key *key)
{
	struct index_answer answer;
	_Atomic uint64_t hold = 0;
	enum index_found found;

	if (input.choice & CHOOSE_CUT)
		FUZZ_CHECK(!ftruncate(segment.fd, (off_t)(input.cut % PAGES) * PAGE));
	found = index_find(index, key, index_hash(index, key), &hold, &answer);
	FUZZ_CHECK(found == INDEX_FOUND ? hold == (answer.answer.image | WIRE_HOLD_FOUND) &&
						  !answer.answer.status
					: !hold);
	if (found != INDEX_FOUND)
		return;
	/* Nothing is found while anything changes, or where something was noted. */
	FUZZ_CHECK(!(input.header.sequence & 1) && input.header.sequence);
	for (uint32_t i = 0; i < index->rings; i++)
		FUZZ_CHECK(input.header.ring[i].flags != (1 + i) * PAGE ||
			   !(input.ring[i][0] & WIRE_RING_NOTED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[256];
	struct index_key key = {.name = name};
	struct index index;

	memset(&input, 0, sizeof input);
	memcpy(&input, data, size < sizeof input ? size : sizeof input);
	memset(name, 'n', sizeof name - 1);
	key.length = input.name_length;
	if (key.length > WIRE_INDEX_NAME_MAX)
		input.choice &= (uint8_t)~CHOOSE_FIT;
	write_index(&key);
	if (index_open(NAME, PAGE, PAGES * PAGE, INSTANCE, true, &index, NULL))
		return 0;
	look_up(&index, &key);
	index_release(&index);
	return 0;
}
