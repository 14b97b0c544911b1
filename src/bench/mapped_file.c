/* A file on a disk, mapped MAP_SHARED, with POSIX semaphores without names inside it. */
#include "bench/families.h"
#include "bench/shared.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

struct mapped_file {
	struct shared shared;
	char path[4096];
};

static int create(struct channel *channel, struct error *err)
{
	struct mapped_file *state = channel->state;
	const char *folder = getenv("TMPDIR");
	AUTO_CLOSE int fd = -1;
	struct shared_area *area;
	int failed;

	snprintf(state->path, sizeof state->path, "%s/%s", folder && *folder ? folder : "/tmp",
		channel->name);
	fd = open(state->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_os(err, errno, "cannot make %s", state->path);
	failed = posix_fallocate(fd, 0, (off_t)shared_size(channel));
	if (failed)
		return error_os(err, failed, "posix_fallocate");
	area = mmap(NULL, sizeof *area, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		return error_os(err, errno, "mmap");
	for (int response = 0; response < 2; response++)
		sem_init(&area->semaphores[response], 1, 0);
	munmap(area, sizeof *area);
	return STATUS_OK;
}

static int join(struct channel *channel, struct error *err)
{
	const struct mapped_file *state = channel->state;
	AUTO_CLOSE int fd = open(state->path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_os(err, errno, "cannot open %s", state->path);
	return shared_map(channel, fd, err);
}

static void hide(struct channel *channel)
{
	const struct mapped_file *state = channel->state;

	if (state->path[0])
		unlink(state->path);
}

static int post(struct channel *channel, bool response, struct error *err)
{
	return shared_post(&shared_area(channel)->semaphores[response], err);
}

static int wait_asleep(struct channel *channel, bool response, struct error *err)
{
	return shared_sleep(channel, &shared_area(channel)->semaphores[response], err);
}

const struct transport transport_mapped_file = {
	.name = "mapped-file",
	.summary = "file mapped MAP_SHARED, semaphores in it, sleeping, payload copied in",
	.state_size = sizeof(struct mapped_file),
	.create = create,
	.join = join,
	.hide = hide,
	.leave = shared_leave,
	.ask = shared_ask,
	.answer = shared_answer,
	.post = post,
	.wait = wait_asleep,
	.copies = true,
};
