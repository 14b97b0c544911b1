/* POSIX shared memory (shm_open) and POSIX named semaphores (sem_open). */
#include "bench/families.h"
#include "bench/shared.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

struct posix_shm {
	struct shared shared;
	sem_t *semaphores[2]; /* [response] */
};

struct posix_name {
	char text[64];
};

static struct posix_name segment_name(const struct channel *channel)
{
	struct posix_name name;

	snprintf(name.text, sizeof name.text, "/%s", channel->name);
	return name;
}

static struct posix_name semaphore_name(const struct channel *channel, bool response)
{
	struct posix_name name;

	snprintf(name.text, sizeof name.text, "/%s-%s", channel->name, response ? "res" : "req");
	return name;
}

static int create(struct channel *channel, struct error *err)
{
	AUTO_CLOSE int fd = shm_open(segment_name(channel).text, O_RDWR | O_CREAT | O_EXCL, 0600);
	int failed;

	if (fd < 0)
		return error_os(err, errno, "shm_open");
	/* Unlike ftruncate, it fails where there is no room. */
	failed = posix_fallocate(fd, 0, (off_t)shared_size(channel));
	if (failed)
		return error_os(err, failed, "posix_fallocate");
	for (int response = 0; response < 2; response++) {
		sem_t *semaphore = sem_open(
			semaphore_name(channel, response).text, O_CREAT | O_EXCL, 0600, 0);

		if (semaphore == SEM_FAILED)
			return error_os(err, errno, "sem_open");
		sem_close(semaphore);
	}
	return STATUS_OK;
}

static int join(struct channel *channel, struct error *err)
{
	struct posix_shm *state = channel->state;
	AUTO_CLOSE int fd = shm_open(segment_name(channel).text, O_RDWR, 0);

	if (fd < 0)
		return error_os(err, errno, "shm_open");
	for (int response = 0; response < 2; response++) {
		sem_t *semaphore = sem_open(semaphore_name(channel, response).text, 0);

		if (semaphore == SEM_FAILED)
			return error_os(err, errno, "sem_open");
		state->semaphores[response] = semaphore;
	}
	return shared_map(channel, fd, err);
}

static void hide(struct channel *channel)
{
	shm_unlink(segment_name(channel).text);
	for (int response = 0; response < 2; response++)
		sem_unlink(semaphore_name(channel, response).text);
}

static void leave(struct channel *channel)
{
	struct posix_shm *state = channel->state;

	for (int response = 0; response < 2; response++)
		if (state->semaphores[response])
			sem_close(state->semaphores[response]);
	shared_leave(channel);
}

static int post(struct channel *channel, bool response, struct error *err)
{
	const struct posix_shm *state = channel->state;

	return shared_post(state->semaphores[response], err);
}

static int wait_asleep(struct channel *channel, bool response, struct error *err)
{
	const struct posix_shm *state = channel->state;

	return shared_sleep(channel, state->semaphores[response], err);
}

static int wait_spinning(struct channel *channel, bool response, struct error *err)
{
	const struct posix_shm *state = channel->state;

	return shared_spin(channel, state->semaphores[response], err);
}

#define POSIX_SHM                                                                             \
	.state_size = sizeof(struct posix_shm), .create = create, .join = join, .hide = hide, \
	.leave = leave, .ask = shared_ask, .answer = shared_answer, .post = post

const struct transport transport_posix_spin_place = {
	.name = "posix-spin-place",
	.summary = "POSIX shm, named semaphores, spinning, payload in place",
	.wait = wait_spinning,
	POSIX_SHM,
};

const struct transport transport_posix_spin_copy = {
	.name = "posix-spin-copy",
	.summary = "POSIX shm, named semaphores, spinning, payload copied in",
	.wait = wait_spinning,
	.copies = true,
	POSIX_SHM,
};

const struct transport transport_posix_sleep_place = {
	.name = "posix-sleep-place",
	.summary = "POSIX shm, named semaphores, sleeping, payload in place",
	.wait = wait_asleep,
	POSIX_SHM,
};

const struct transport transport_posix_sleep_copy = {
	.name = "posix-sleep-copy",
	.summary = "POSIX shm, named semaphores, sleeping, payload copied in",
	.wait = wait_asleep,
	.copies = true,
	POSIX_SHM,
};
