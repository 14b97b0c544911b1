/*
 * An answer as the client sees it: the server is this target, too, and answers in the very moment
 * in which the client posts its semaphore.
 */
#include "fuzz.h"

#include "base/text.h"
#include "exchange/server_objects.h"
#include "shmsem.h"

#include <semaphore.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS 2
#define RESERVE  (UINT64_C(1) << 20)
#define BACKED   (UINT64_C(1) << 16)

/* The low two bits of `ask` say what is asked. */
enum ask {
	ASK_FETCH,
	ASK_INFO,
	ASK_NAMES,
	ASK_PING,
	ASK_KINDS,
};

enum choice {
	CHOOSE_TURN = 1 << 0,    /* the turn word is hostile */
	CHOOSE_HEAD = 1 << 1,    /* HEAD's numbers are, before the client connects */
	CHOOSE_CUT = 1 << 2,     /* the first segment is truncated before the answer */
	CHOOSE_CUTS = 1 << 3,    /* the count of cuts is hostile */
	CHOOSE_END = 1 << 4,     /* every further answer is an empty one */
	CHOOSE_UNREADY = 1 << 5, /* the server says that it is not ready */
	CHOOSE_CUT_LATE =
		1 << 6 /* the segment of an image is truncated before its pixels are read */
};

/* An input begins with this; the rest is the text. */
struct input {
	uint8_t choice, ask;
	uint16_t cut;
	uint32_t truncations;
	uint64_t state_word;
	uint64_t reserve;
	uint32_t segments, reserved;
	uint64_t words[4];
	struct wire_answer answer;
};

static struct server_objects objects;
static struct input input;
static char text[WIRE_TEXT_SIZE];
static unsigned answers;

static void clean_up(void)
{
	server_objects_withdraw(&objects);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct server_objects_options options = {.seats = 1,
		.page = WIRE_PAGE,
		.segments = SEGMENTS,
		.reserve = RESERVE,
		.access = {.mode = 0600, .group = (gid_t)-1}};
	char name[64];

	(void)argc;
	(void)argv;
	snprintf(name, sizeof name, "fuzz-answer-%d", (int)getpid());
	FUZZ_CHECK(namespace_parse(name, &options.space, NULL) == 0);
	FUZZ_CHECK(server_objects_create(&objects, &options, NULL) == 0);
	atexit(clean_up);
	return 0;
}

static void answer(void)
{
	struct wire_seat *page = head_seat(&objects.head, 0);
	uint64_t state_word = WIRE_STATE_WORD(
		WIRE_SEQUENCE(atomic_load(&page->state_word)), WIRE_ANSWERED);

	if (input.choice & CHOOSE_CUT)
		FUZZ_CHECK(ftruncate(objects.data[0].fd, input.cut) == 0);
	if (input.choice & CHOOSE_CUTS)
		atomic_store(&head_server(&objects.head)->truncations, input.truncations);
	memcpy((void *)page->words, input.words, sizeof input.words);
	page->answer = input.answer;
	if (answers++ && input.choice & CHOOSE_END)
		page->answer = (struct wire_answer){0};
	memcpy(page->text, text, sizeof text);
	atomic_store(&page->state_word, input.choice & CHOOSE_TURN ? input.state_word : state_word);
}

/* In the place of the C library's. */
int sem_post(sem_t *semaphore)
{
	(void)semaphore;
	answer();
	return 0;
}

static void make_server(void)
{
	struct wire_seat *page = head_seat(&objects.head, 0);
	struct wire_server *server = head_server(&objects.head);
	bool hostile = input.choice & CHOOSE_HEAD;

	page->segments = hostile ? input.segments : SEGMENTS;
	server->reserve = hostile ? input.reserve : RESERVE;
	atomic_store(&server->ready, !(input.choice & CHOOSE_UNREADY));
	atomic_store(&server->truncations, 0);
	atomic_store(&page->state_word, input.state_word);
	for (unsigned i = 0; i < SEGMENTS; i++)
		FUZZ_CHECK(ftruncate(objects.data[i].fd, (off_t)(i ? WIRE_PAGE : BACKED)) == 0);
	answers = 0;
}

static void read_bytes(const void *from, uint64_t size)
{
	const volatile uint8_t *bytes = from;

	for (uint64_t i = 0; i < size; i++)
		(void)bytes[i];
}

static void check_info(const struct shmsem_info *info)
{
	FUZZ_CHECK(info->width && info->height && info->channels && info->channels <= 4);
	FUZZ_CHECK(info->stride == (uint64_t)info->width * info->channels * (info->bits / 8));
	FUZZ_CHECK(info->bytes == (uint64_t)info->stride * info->height);
	FUZZ_CHECK(memchr(info->warning, '\0', sizeof info->warning));
}

/* What the client was told of the pixels must be there; where somebody truncated them there are zeros
 * in their place, and it can be asked. */
static void use_image(struct shmsem_image *image)
{
	struct shmsem_error error;
	int status;

	check_info(&image->info);
	FUZZ_CHECK(image->info.bytes <= RESERVE || input.choice & CHOOSE_HEAD);
	if (input.choice & CHOOSE_CUT_LATE)
		FUZZ_CHECK(ftruncate(objects.data[image->info.segment].fd, input.cut) == 0);
	read_bytes(image->pixels, image->info.bytes);
	if (image->icc)
		read_bytes(image->icc, image->info.icc_bytes);
	status = shmsem_check(image, &error);
	FUZZ_CHECK(!status || status == SHMSEM_BAD_DATA);
	shmsem_release(image);
}

static int each_name(void *data, const char *name)
{
	char *last = data;

	FUZZ_CHECK(name[0] && strlen(name) <= WIRE_NAME_MAX && strcmp(name, last) > 0);
	strcpy(last, name);
	return 0;
}

static int ask(struct shmsem *client, struct shmsem_error *error)
{
	const struct shmsem_request request = {.name = "apple"};
	char last[WIRE_NAME_MAX + 1] = "";
	struct shmsem_image image;
	struct shmsem_info info;
	int status;

	switch ((enum ask)(input.ask % ASK_KINDS)) {
	case ASK_FETCH:
		status = shmsem_fetch(client, &request, &image, error);
		if (!status)
			use_image(&image);
		return status;
	case ASK_INFO:
		status = shmsem_info(client, &request, &info, error);
		if (!status)
			check_info(&info);
		return status;
	case ASK_NAMES:
		return shmsem_names(client, each_name, last, error);
	default:
		return shmsem_ping(client, error);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct shmsem_connect_options options = {.name_space = objects.options.space.text,
		.timeout_ns = 1,
		.flags = SHMSEM_GUARD_SIGBUS};
	struct shmsem_error error = {0};
	struct shmsem *client;
	size_t rest;
	int status;

	if (size < sizeof input)
		return 0;
	memcpy(&input, data, sizeof input);
	rest = size - sizeof input < sizeof text ? size - sizeof input : sizeof text;
	memset(text, 0, sizeof text);
	memcpy(text, data + sizeof input, rest);
	make_server();
	status = shmsem_connect(&client, &options, &error);
	if (!status) {
		status = ask(client, &error);
		/* A client that lost its server connects anew; a segment may be mapped anew. */
		ask(client, NULL);
		shmsem_close(client);
	}
	if (!status)
		return 0;
	FUZZ_CHECK(error.status == status && error_status_valid((unsigned)status));
	FUZZ_CHECK(error.message[0] && text_is_plain(error.message, strlen(error.message)));
	return 0;
}
