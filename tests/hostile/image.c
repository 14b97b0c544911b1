/*
 * What a codec may do once a file has taken it over. It stands in for src/image in the test's own
 * decoders: a "file" here is a line that says what to do, in the place of image_probe or, after
 * "then", of image_decode.
 */
#include "image/image.h"

#include "hostile.h"
#include "server/decoder.h"
#include "server/link.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

struct image_reader {
	char order[256];
	struct image_info info;
};

/* Of the last image that was decoded, however long ago. */
static uint8_t *last_pixels;

/* Of the one that is being decoded. */
static uint8_t *decoded_pixels;

static const struct image_info good = {.bytes = (uint64_t)SIDE * SIDE * 3,
	.width = SIDE,
	.height = SIDE,
	.channels = 3,
	.bits = 8,
	.format = IMAGE_FORMAT_PNG,
	.scale = 1,
	.file_bits = 8,
	.file_channels = 3,
	.file_width = SIDE,
	.file_height = SIDE};

static unsigned overflow_stack(unsigned depth)
{
	volatile char frame[4096];

	frame[depth % sizeof frame] = (char)depth;
	return depth == UINT32_MAX ? 0 : overflow_stack(depth + 1) + (unsigned)frame[0];
}

static void illegal_instruction(void)
{
#ifdef __aarch64__
	__asm__ volatile("udf #0"); /* __builtin_trap() is a breakpoint there */
#else
	__builtin_trap();
#endif
}

static void crash(const char *how)
{
	/* Not NULL, which a sanitizer would report before the processor does. */
	static char *volatile nowhere = (char *)16;

	if (!strcmp(how, "SEGV"))
		*nowhere = 0;
	else if (!strcmp(how, "ILL"))
		illegal_instruction();
	else if (!strcmp(how, "stack"))
		overflow_stack(0);
	else if (!strcmp(how, "exit"))
		_exit(0);
	else if (!strcmp(how, "spin"))
		for (volatile unsigned i = 0;; i++)
			;
}

static void eat(void)
{
	enum {
		BLOCK = 1 << 20
	};
	char *block;

	/* Address space is what is limited; to fill it all would take longer than a decode may. */
	while ((block = malloc(BLOCK)))
		*(volatile char *)block = 1;
}

/* As the codec of a large image may. */
static void take_and_give_back(void)
{
	static char *blocks[TAKEN >> 20];

	for (size_t i = 0; i < TAKEN >> 20; i++) {
		blocks[i] = malloc(1 << 20);
		if (blocks[i])
			memset(blocks[i], 1, 1 << 20);
	}
	for (size_t i = 0; i < TAKEN >> 20; i++)
		free(blocks[i]);
}

static void lie(const char *what, struct image_info *info)
{
	if (!strcmp(what, "fewer-bytes"))
		info->bytes /= 2;
	else if (!strcmp(what, "more-bytes"))
		info->bytes *= 2;
	else if (!strcmp(what, "no-width"))
		info->width = 0;
	else if (!strcmp(what, "wrapping"))
		*info = (struct image_info){
			.width = 1u << 31, .height = 1u << 31, .channels = 4, .bits = 8};
	else if (!strcmp(what, "channels"))
		info->channels = 7;
	else if (!strcmp(what, "bits"))
		info->bits = 3;
	else if (!strcmp(what, "profile"))
		info->icc_bytes = UINT32_MAX;
	else if (!strcmp(what, "pixels"))
		*info = (struct image_info){.width = 60000,
			.height = 60000,
			.channels = 1,
			.bits = 8,
			.bytes = 3600000000};
	else if (!strcmp(what, "side"))
		*info = (struct image_info){
			.width = 70000, .height = 1, .channels = 1, .bits = 8, .bytes = 70000};
}

/* Speaks on the socket itself, over the head of the decoder. */
static void answer(const char *what)
{
	struct link_reply reply = {.kind = LINK_DONE, .number = 1, .info = good, .call = -1};
	size_t size = sizeof reply;

	if (!strcmp(what, "nothing"))
		_exit(0);
	if (!strcmp(what, "garbage"))
		memset(&reply, 0xa5, sizeof reply);
	else if (!strcmp(what, "short"))
		size = 7;
	else if (!strcmp(what, "empty"))
		size = 0;
	else if (!strcmp(what, "kind"))
		reply.kind = LINK_DECODE;
	else if (!strcmp(what, "status"))
		reply.status = 12345;
	else if (!strcmp(what, "need"))
		reply.kind = LINK_NEED;
	else if (!strcmp(what, "number"))
		reply.number = UINT64_MAX;
	else if (!strcmp(what, "text"))
		memset(reply.text, '\n', sizeof reply.text);
	else if (!strcmp(what, "died"))
		reply.kind = LINK_DIED, reply.signal = 1 << 30, reply.call = 1 << 30;
	else if (!strcmp(what, "unfit"))
		reply.kind = LINK_UNFIT, memset(reply.text, '\n', sizeof reply.text);
	for (int i = 0; i < 8; i++)
		send(DECODER_SOCKET, &reply, size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Answers for an image of the server, "NUMBER HOW", and has nothing to do then. */
static void be_idle(const char *what)
{
	char *how, next;
	struct link_reply reply = {
		.kind = LINK_DONE, .number = strtoull(what, &how, 10), .info = good, .call = -1};

	if (!strcmp(how, " hoard"))
		eat();
	send(DECODER_SOCKET, &reply, sizeof reply, MSG_NOSIGNAL);
	if (!strcmp(how, " fill"))
		memset(decoded_pixels, 0xee, FILLED);
	while (!strcmp(how, " spin"))
		;
	/* Until there is another job, which it leaves alone. */
	while (recv(DECODER_SOCKET, &next, 1, MSG_PEEK) >= 0)
		;
}

static void obey(struct image_reader *reader, const char *order)
{
	const char *what = strchr(order, ' ');

	what = what ? what + 1 : "";
	if (!strncmp(order, "call ", 5))
		syscall(atol(what), 0, 0, 0, 0, 0, 0);
	else if (!strncmp(order, "crash ", 6))
		crash(what);
	else if (!strncmp(order, "eat", 3))
		eat();
	else if (!strncmp(order, "take", 4))
		take_and_give_back();
	else if (!strncmp(order, "lie ", 4))
		lie(what, &reader->info);
	else if (!strncmp(order, "answer ", 7))
		answer(what);
	else if (!strncmp(order, "idle ", 5))
		be_idle(what);
	else if (!strncmp(order, "map ", 4))
		mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else if (!strncmp(order, "late", 4) && last_pixels)
		memset(last_pixels, 0xee, 1);
}

int image_reader_new(struct image_reader **ret, struct error *err)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? STATUS_OK : error_set(err, STATUS_TRY_AGAIN, "out of memory");
}

int image_probe(struct image_reader *reader, const void *data, size_t size,
	const struct image_options *options, const struct image_limits *limits,
	struct image_info *ret, struct error *err)
{
	char *end;

	(void)options;
	(void)limits;
	(void)err;
	snprintf(reader->order, sizeof reader->order, "%.*s", (int)size, (const char *)data);
	end = strpbrk(reader->order, "\n");
	if (end)
		*end = '\0';
	reader->info = good;
	if (strncmp(reader->order, "then ", 5) != 0)
		obey(reader, reader->order);
	*ret = reader->info;
	return STATUS_OK;
}

int image_decode(struct image_reader *reader, void *pixels, size_t bytes, struct image_warning *ret,
	struct error *err)
{
	(void)ret;
	(void)err;
	decoded_pixels = pixels;
	if (!strcmp(reader->order, "then fill"))
		memset(pixels, 0xee, FILLED);
	else if (!strncmp(reader->order, "then ", 5))
		obey(reader, reader->order + 5);
	if (!strcmp(reader->order, "then outside"))
		memset((uint8_t *)pixels + (1 << 22), 0xee, 1 << 20);
	memset(pixels, GOOD_BYTE, bytes);
	last_pixels = pixels;
	return STATUS_OK;
}

struct image_warning image_probe_warning(const struct image_reader *reader)
{
	(void)reader;
	return (struct image_warning){0};
}

const void *image_profile(const struct image_reader *reader, size_t *ret_size)
{
	(void)reader;
	*ret_size = 0;
	return NULL;
}
