#include "bench/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int shared_adopt(struct channel *channel, void *area, const char *what, struct error *err)
{
	struct shared *shared = channel->state;

	if (area == MAP_FAILED)
		return error_os(err, errno, "%s", what);
	shared->area = area;
	if (!channel->transport->copies)
		channel->source = shared->area->payload;
	return STATUS_OK;
}

int shared_map(struct channel *channel, int fd, struct error *err)
{
	/* Its pages are there from the start: first touches are not what is measured. */
	void *area = mmap(NULL, shared_size(channel), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_POPULATE, fd, 0);

	return shared_adopt(channel, area, "mmap", err);
}

void shared_leave(struct channel *channel)
{
	struct shared *shared = channel->state;

	if (shared->area)
		munmap(shared->area, shared_size(channel));
	shared->area = NULL;
}

int shared_ask(struct channel *channel, struct error *err)
{
	struct shared_area *area = shared_area(channel);
	int status;

	area->word = channel->word;
	status = channel->transport->post(channel, false, err);
	if (status)
		return status;
	status = channel->transport->wait(channel, true, err);
	if (status)
		return status;
	channel_consume(channel, area->payload, channel->size);
	return STATUS_OK;
}

int shared_answer(struct channel *channel, struct error *err)
{
	struct shared_area *area = shared_area(channel);
	int status = channel->transport->wait(channel, false, err);

	if (!status)
		status = channel_expect(channel, area->word, err);
	if (status)
		return status;
	if (channel->transport->copies)
		memcpy(area->payload, channel->source, channel->size);
	return channel->transport->post(channel, true, err);
}

int shared_post(sem_t *semaphore, struct error *err)
{
	return sem_post(semaphore) ? error_os(err, errno, "sem_post") : STATUS_OK;
}

int shared_sleep(struct channel *channel, sem_t *semaphore, struct error *err)
{
	while (sem_wait(semaphore)) {
		int status = channel_again(channel, "sem_wait", err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

int shared_spin(struct channel *channel, sem_t *semaphore, struct error *err)
{
	while (sem_trywait(semaphore)) {
		int status = STATUS_OK;

		if (errno != EAGAIN)
			status = channel_again(channel, "sem_trywait", err);
		else if (watchdog_ticked)
			status = watchdog_check(&channel->watchdog, err);
		if (status)
			return status;
		spin_pause();
	}
	return STATUS_OK;
}
