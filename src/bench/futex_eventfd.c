/*
 * The kernel's own primitives under a memory file (memfd_create) that both sides map: a bare futex,
 * and a pair of eventfds. The payload is in place.
 */
#include "bench/families.h"
#include "bench/shared.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct kernel_pair {
	struct shared shared;
	int memory;    /* memfd */
	int events[2]; /* [response], eventfds; closed where there are none */
};

static int create_memory(struct channel *channel, struct error *err)
{
	struct kernel_pair *state = channel->state;
	int failed;

	state->events[0] = state->events[1] = -1;
	state->memory = memfd_create(channel->name, MFD_CLOEXEC);
	if (state->memory < 0)
		return error_os(err, errno, "memfd_create");
	failed = posix_fallocate(state->memory, 0, (off_t)shared_size(channel));
	return failed ? error_os(err, failed, "posix_fallocate") : STATUS_OK;
}

static int create_events(struct channel *channel, struct error *err)
{
	struct kernel_pair *state = channel->state;
	int status = create_memory(channel, err);

	for (int response = 0; !status && response < 2; response++) {
		state->events[response] = eventfd(0, EFD_CLOEXEC);
		if (state->events[response] < 0)
			status = error_os(err, errno, "eventfd");
	}
	return status;
}

/* The descriptors came with the fork; each side maps for itself. */
static int join(struct channel *channel, struct error *err)
{
	const struct kernel_pair *state = channel->state;

	return shared_map(channel, state->memory, err);
}

static void leave(struct channel *channel)
{
	struct kernel_pair *state = channel->state;

	shared_leave(channel);
	cleanup_fd(&state->memory);
	cleanup_fd(&state->events[0]);
	cleanup_fd(&state->events[1]);
}

/* 1: posted and not yet taken. */
static int futex_post(struct channel *channel, bool response, struct error *err)
{
	uint32_t *futex = &shared_area(channel)->futexes[response];

	__atomic_store_n(futex, 1, __ATOMIC_RELEASE);
	return syscall(SYS_futex, futex, FUTEX_WAKE, 1, NULL, NULL, 0) < 0
		       ? error_os(err, errno, "futex")
		       : STATUS_OK;
}

static int futex_wait(struct channel *channel, bool response, struct error *err)
{
	uint32_t *futex = &shared_area(channel)->futexes[response];

	while (!__atomic_exchange_n(futex, 0, __ATOMIC_ACQUIRE)) {
		int status = STATUS_OK;

		if (syscall(SYS_futex, futex, FUTEX_WAIT, 0, NULL, NULL, 0) && errno != EAGAIN)
			status = channel_again(channel, "futex", err);
		if (status)
			return status;
	}
	return STATUS_OK;
}

static int event_post(struct channel *channel, bool response, struct error *err)
{
	const struct kernel_pair *state = channel->state;
	const uint64_t one = 1;

	return channel_write(channel, state->events[response], &one, sizeof one, err);
}

static int event_wait(struct channel *channel, bool response, struct error *err)
{
	const struct kernel_pair *state = channel->state;
	uint64_t count;

	return channel_read(channel, state->events[response], &count, sizeof count, err);
}

const struct transport transport_futex = {
	.name = "futex",
	.summary = "memory file, bare futex, sleeping, payload in place",
	.state_size = sizeof(struct kernel_pair),
	.create = create_memory,
	.join = join,
	.leave = leave,
	.ask = shared_ask,
	.answer = shared_answer,
	.post = futex_post,
	.wait = futex_wait,
};

const struct transport transport_eventfd = {
	.name = "eventfd",
	.summary = "memory file, eventfd, sleeping, payload in place",
	.state_size = sizeof(struct kernel_pair),
	.create = create_events,
	.join = join,
	.leave = leave,
	.ask = shared_ask,
	.answer = shared_answer,
	.post = event_post,
	.wait = event_wait,
};
