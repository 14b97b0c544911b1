/*
 * The exchange that shmsem's began as, with the habits of its programs: named semaphores, a header
 * and a data segment, and at each access a ftruncate, a mapping and an unmapping.
 */
#include "bench/families.h"
#include "bench/shared.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum classic_segment {
	CLASSIC_HEAD,
	CLASSIC_DATA,
};

struct classic {
	int segments[2];      /* descriptors, by enum classic_segment */
	size_t lengths[2];    /* the largest this side has asked for */
	sem_t *semaphores[2]; /* [response] */
};

struct classic_name {
	char text[64];
};

static struct classic_name name_of(const struct channel *channel, const char *kind)
{
	struct classic_name name;

	snprintf(name.text, sizeof name.text, "/%s-%s", channel->name, kind);
	return name;
}

static const char *const segment_kinds[] = {"head", "data"};
static const char *const semaphore_kinds[] = {"req", "res"};

static int create(struct channel *channel, struct error *err)
{
	struct classic *state = channel->state;

	state->segments[CLASSIC_HEAD] = state->segments[CLASSIC_DATA] = -1;
	for (int i = 0; i < 2; i++) {
		AUTO_CLOSE int fd = shm_open(
			name_of(channel, segment_kinds[i]).text, O_RDWR | O_CREAT | O_EXCL, 0600);
		sem_t *semaphore = sem_open(
			name_of(channel, semaphore_kinds[i]).text, O_CREAT | O_EXCL, 0600, 0);

		if (fd < 0 || semaphore == SEM_FAILED)
			return error_os(err, errno, "cannot make the classic objects");
		sem_close(semaphore);
	}
	return STATUS_OK;
}

static int join(struct channel *channel, struct error *err)
{
	struct classic *state = channel->state;

	for (int i = 0; i < 2; i++) {
		sem_t *semaphore = sem_open(name_of(channel, semaphore_kinds[i]).text, 0);

		if (semaphore != SEM_FAILED)
			state->semaphores[i] = semaphore;
		state->segments[i] = shm_open(name_of(channel, segment_kinds[i]).text, O_RDWR, 0);
		if (state->segments[i] < 0 || !state->semaphores[i])
			return error_os(err, errno, "cannot open the classic objects");
	}
	return STATUS_OK;
}

static void hide(struct channel *channel)
{
	for (int i = 0; i < 2; i++) {
		shm_unlink(name_of(channel, segment_kinds[i]).text);
		sem_unlink(name_of(channel, semaphore_kinds[i]).text);
	}
}

static void leave(struct channel *channel)
{
	struct classic *state = channel->state;

	for (int i = 0; i < 2; i++) {
		cleanup_fd(&state->segments[i]);
		if (state->semaphores[i])
			sem_close(state->semaphores[i]);
	}
}

/* The first `length` bytes of a segment, mapped for one access. */
static int open_access(struct classic *state, enum classic_segment which, size_t length,
	struct map *ret, struct error *err)
{
	void *base;

	if (length >= state->lengths[which]) {
		if (ftruncate(state->segments[which], (off_t)length))
			return error_os(err, errno, "ftruncate");
		state->lengths[which] = length;
	}
	base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, state->segments[which], 0);
	if (base == MAP_FAILED)
		return error_os(err, errno, "mmap");
	*ret = (struct map){base, length};
	return STATUS_OK;
}

static int put(struct classic *state, enum classic_segment which, const void *data, size_t length,
	struct error *err)
{
	AUTO_UNMAP struct map map = {0};
	int status = open_access(state, which, length, &map, err);

	if (status)
		return status;
	memcpy(map.base, data, length);
	return STATUS_OK;
}

static int get(struct classic *state, enum classic_segment which, void *data, size_t length,
	struct error *err)
{
	AUTO_UNMAP struct map map = {0};
	int status = open_access(state, which, length, &map, err);

	if (status)
		return status;
	memcpy(data, map.base, length);
	return STATUS_OK;
}

static int send_request(struct channel *channel, struct error *err)
{
	struct classic *state = channel->state;
	const uint64_t length = sizeof channel->word;
	int status = put(state, CLASSIC_HEAD, &length, sizeof length, err);

	if (status)
		return status;
	status = put(state, CLASSIC_DATA, &channel->word, sizeof channel->word, err);
	return status ? status : shared_post(state->semaphores[false], err);
}

static int receive_answer(struct channel *channel, struct error *err)
{
	struct classic *state = channel->state;
	AUTO_UNMAP struct map map = {0};
	uint64_t words[4];
	int status = shared_sleep(channel, state->semaphores[true], err);

	if (status)
		return status;
	status = get(state, CLASSIC_HEAD, words, sizeof words, err);
	if (status)
		return status;
	if (words[0] != channel->size)
		return error_set(err, STATUS_BAD_DATA, "the header says %llu bytes",
			(unsigned long long)words[0]);
	status = open_access(state, CLASSIC_DATA, channel->size, &map, err);
	if (status)
		return status;
	channel_consume(channel, map.base, channel->size);
	return STATUS_OK;
}

static int ask(struct channel *channel, struct error *err)
{
	int status = send_request(channel, err);

	return status ? status : receive_answer(channel, err);
}

static int receive_request(struct channel *channel, struct error *err)
{
	struct classic *state = channel->state;
	uint64_t length = 0, word = 0;
	int status = shared_sleep(channel, state->semaphores[false], err);

	if (status)
		return status;
	status = get(state, CLASSIC_HEAD, &length, sizeof length, err);
	if (status)
		return status;
	if (length != sizeof word)
		return error_set(err, STATUS_BAD_DATA, "the name has %llu bytes",
			(unsigned long long)length);
	status = get(state, CLASSIC_DATA, &word, sizeof word, err);
	return status ? status : channel_expect(channel, word, err);
}

static int send_answer(struct channel *channel, struct error *err)
{
	struct classic *state = channel->state;
	const uint64_t words[4] = {channel->size, channel->size, 1, 1};
	const uint8_t *payload = channel->source;
	int status = STATUS_OK;

	if (channel->make)
		status = channel->make(channel->make_context, channel->size, &payload, err);
	if (status)
		return status;
	status = put(state, CLASSIC_DATA, payload, channel->size, err);
	if (status)
		return status;
	status = put(state, CLASSIC_HEAD, words, sizeof words, err);
	return status ? status : shared_post(state->semaphores[true], err);
}

static int answer(struct channel *channel, struct error *err)
{
	int status = receive_request(channel, err);

	return status ? status : send_answer(channel, err);
}

const struct transport transport_classic = {
	.name = "classic",
	.summary = "POSIX shm and named semaphores, mapped and unmapped at each access",
	.state_size = sizeof(struct classic),
	.create = create,
	.join = join,
	.hide = hide,
	.leave = leave,
	.ask = ask,
	.answer = answer,
};
