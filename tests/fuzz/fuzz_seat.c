/*
 * A request as the server sees it: all of HEAD as its clients may have written it, and the
 * request thread, which takes what is asked there. Nothing gets as far as a decoder: the images are in the store,
 * and none of the files below the folder is one.
 */
#include "fuzz.h"

#include "base/clock.h"
#include "base/text.h"
#include "server/answer.h"
#include "server/jobs.h"
#include "server/mount_table.h"
#include "server/prefetch.h"
#include "server/repair.h"
#include "server/request_loop.h"
#include "shm/lock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEATS  2
#define BUDGET ((uint64_t)16 * WIRE_PAGE)
#define SIDE   100

#define HEAD_SIZE wire_head_size(WIRE_PAGE, SEATS)

enum choice {
	CHOOSE_AGAIN = 1 << 0,   /* who waits, or prefetches, asks once more */
	CHOOSE_FAILURE = 1 << 1, /* what they wait for fails */
	CHOOSE_WHOLE = 1 << 2,   /* the constants of the seats, which are drawn at random, stay */
};

static struct server server;
static char names[] = "apple.png\0pear.png\0plum.png";
static struct stored *slow;
static uint8_t *whole; /* HEAD as it was made */
static char folder[] = "/tmp/fuzz-seat-XXXXXX";

static void clean_up(void)
{
	server_objects_withdraw(&server.objects);
	unlinkat(server.folder, "empty.png", 0);
	rmdir(folder);
}

static void make_folder(void)
{
	int file;

	FUZZ_CHECK(mkdtemp(folder));
	server.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file = openat(server.folder, "empty.png", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	FUZZ_CHECK(server.folder >= 0 && file >= 0);
	close(file);
}

static void make_objects(void)
{
	struct server_objects_options objects = {.seats = SEATS,
		.page = WIRE_PAGE,
		.segments = 1,
		.reserve = BUDGET,
		.access = server_defaults.access};
	char name[64];

	snprintf(name, sizeof name, "fuzz-seat-%d", (int)getpid());
	FUZZ_CHECK(namespace_parse(name, &objects.space, NULL) == 0);
	FUZZ_CHECK(server_objects_create(&server.objects, &objects, NULL) == 0);
	FUZZ_CHECK(server_objects_ready(&server.objects, NULL) == 0);
	repair_remember(&server);
}

/* Somebody sits on every seat, or its words would be void. */
static void take_seats(void)
{
	char name[OBJECT_NAME_SIZE];
	int file;

	object_name(&server.objects.options.space, OBJECT_HEAD, 0, name);
	file = shm_open(name, O_RDWR | O_CLOEXEC, 0);
	FUZZ_CHECK(file >= 0);
	for (unsigned seat = 0; seat < SEATS; seat++)
		FUZZ_CHECK(lock_take(file, head_seat_lock(&server.objects.head, seat)) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct request requests[SEATS];
	static struct decoder none;
	static struct decoder_work work;
	static bool busy = true;

	(void)argc;
	(void)argv;
	none = DECODER_NONE;
	none.state = DECODER_ENDING; /* for ever */
	server = (struct server){.options = server_defaults,
		.requests = requests,
		.decoders = &none,
		.work = &work,
		.decoder_busy = &busy,
		.names = {.done = {.text = names, .size = sizeof names}, .any_done = true}};
	job_lines_init(&server);
	server.options.seats = SEATS;
	server.options.decoders = 1;
	/* Files are not looked at for what is stored. */
	server.options.fresh_ns = DEADLINE_NEVER;
	pthread_cond_init(&server.names.changed, NULL);
	make_folder();
	FUZZ_CHECK(mount_table_new(server.folder, &server.mounts, NULL) == 0);
	FUZZ_CHECK(watch_new(server.folder, &server.watch, NULL) == 0);
	make_objects();
	atexit(clean_up);
	request_init(&server);
	take_seats();
	whole = malloc(HEAD_SIZE);
	FUZZ_CHECK(whole);
	memcpy(whole, server.objects.head.segment.base, HEAD_SIZE);
	return 0;
}

static struct stored *add(const char *name, uint64_t inode)
{
	const struct image_key key = {.file = {.inode = inode, .size = 1}, .kind = LINK_DECODE};
	const struct watch_token token = {0};
	struct stored *image = store_add(&server.store, &key);

	FUZZ_CHECK(image);
	store_name(&server.store, image, name, name, &token, clock_now());
	return image;
}

/* False if there is no room, which the hold words can bring about. */
static bool finish(struct stored *image, struct error *err)
{
	const uint64_t bytes = (uint64_t)SIDE * SIDE * 3;
	const struct decoded decoded = {
		.info = {.bytes = bytes, .width = SIDE, .height = SIDE, .channels = 3, .bits = 8},
		.total = bytes,
		.warning = "its colours are odd"};
	struct extent *extent;

	if (store_make_room(&server.store, 0, bytes, false, &extent, err))
		return false;
	store_ready(&server.store, image, 0, extent, &decoded, clock_now());
	return true;
}

/* Two images that fill the store, a failure, and one that is being decoded. */
static void make_store(void)
{
	struct error err = {0};

	FUZZ_CHECK(store_init(&server.store, &server.objects.head, server.objects.data, 1, BUDGET,
			   NULL) == 0);
	store_lock(&server.store);
	FUZZ_CHECK(finish(add("apple", 1), &err) && finish(add("pear", 2), &err));
	error_set(&err, STATUS_BAD_DATA, "not an image");
	store_failed(add("plum", 3), &err, false);
	slow = add("slow", 4);
	store_unlock(&server.store);
}

static void serve_all(void)
{
	uint64_t sequence;
	unsigned asked = 0;

	for (unsigned seat = 0; seat < SEATS; seat++)
		asked += request_pending(&server.objects.head, seat, &sequence);
	while (asked--)
		request_serve(&server);
	for (unsigned seat = 0; seat < SEATS; seat++)
		FUZZ_CHECK(!request_pending(&server.objects.head, seat, &sequence));
}

static void ask_again(void)
{
	for (unsigned seat = 0; seat < SEATS; seat++) {
		struct wire_seat *page = head_seat(&server.objects.head, seat);
		uint64_t sequence = WIRE_SEQUENCE(atomic_load(&page->state_word));

		/* Why one on the list failed is told when its client asks the next time. */
		if (server.requests[seat].state != REQUEST_NONE ||
			page->request.operation == WIRE_PREFETCH)
			atomic_store(
				&page->state_word, WIRE_STATE_WORD(sequence + 1, WIRE_REQUESTED));
	}
	serve_all();
}

static void end_wait(bool failure)
{
	struct error err = {0};

	error_set(&err, STATUS_BAD_DATA, "its decoder died of SIGSEGV");
	store_lock(&server.store);
	if (failure || !finish(slow, &err))
		store_failed(slow, &err, failure);
	answer_waiters(&server, slow);
	store_settled(&server.store, slow);
	store_unlock(&server.store);
}

static void check_answer(unsigned seat)
{
	const struct wire_seat *page = head_seat(&server.objects.head, seat);
	const struct wire_answer *answer = &page->answer;

	FUZZ_CHECK(server.requests[seat].state == REQUEST_NONE);
	FUZZ_CHECK(answer->text_length <= WIRE_TEXT_SIZE);
	if (answer->status) {
		FUZZ_CHECK(error_status_valid(answer->status));
		FUZZ_CHECK(answer->text_length && text_is_plain(page->text, answer->text_length));
	} else if (page->request.operation == WIRE_PREFETCH) {
		FUZZ_CHECK(!answer->flags == !answer->text_length);
		FUZZ_CHECK(!answer->flags || error_status_valid(answer->flags));
		FUZZ_CHECK(!answer->flags || memchr(page->text, '\0', answer->text_length));
	} else if (answer->image) {
		FUZZ_CHECK(answer->segment == 0 && answer->offset % WIRE_PAGE == 0);
		FUZZ_CHECK(answer->offset + page->words[0] <= BUDGET);
	}
}

static void write_head(const uint8_t *data, size_t size, bool keep_constants)
{
	const size_t magic = offsetof(struct wire_seat, magic),
		     holds = wire_holds_offset(WIRE_PAGE, SEATS, 0);
	uint8_t *head = server.objects.head.segment.base;

	memcpy(head, data, size < HEAD_SIZE ? size : HEAD_SIZE);
	for (size_t page = 0; keep_constants && page < SEATS; page++)
		memcpy(head + page * WIRE_PAGE + magic, whole + page * WIRE_PAGE + magic,
			offsetof(struct wire_seat, state_word) - magic);
	for (size_t at = holds; keep_constants && at < HEAD_SIZE; at += WIRE_PAGE)
		memcpy(head + at, whole + at, offsetof(struct wire_hold_page, mark));
}

/* The first byte chooses; what follows lies over HEAD. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int choice = size ? data[0] : 0;
	bool asked[SEATS], done;
	uint64_t sequence;

	write_head(whole, HEAD_SIZE, false);
	make_store();
	FUZZ_CHECK(prefetch_start(&server));
	/* With this the call of upkeep is a thorough one, which looks at all seats. */
	server.serving.last = server.next_check = server.turns = 0;
	if (size > 1)
		write_head(data + 1, size - 1, choice & CHOOSE_WHOLE);
	for (unsigned seat = 0; seat < SEATS; seat++)
		asked[seat] = request_pending(&server.objects.head, seat, &sequence);
	serve_all();
	if (choice & CHOOSE_AGAIN)
		ask_again();
	end_wait(choice & CHOOSE_FAILURE);
	for (unsigned seat = 0; seat < SEATS; seat++)
		if (asked[seat])
			check_answer(seat);
	FUZZ_CHECK(server_upkeep(&server, &done, NULL) == 0 && !done);
	for (unsigned seat = 0; seat < SEATS; seat++)
		FUZZ_CHECK(head_seat_whole(&server.objects.head, seat));
	prefetch_stop(&server);
	store_release(&server.store);
	return 0;
}
