/*
 * The limit: one cache line goes to the other CPU and back, both sides spin, no system call. The
 * payload is already where the requester can read it, and is read once, as everywhere.
 */
#include "bench/families.h"
#include "bench/shared.h"

#include <sys/mman.h>

static int create(struct channel *channel, struct error *err)
{
	return shared_adopt(channel,
		mmap(NULL, shared_size(channel), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0),
		"mmap", err);
}

/* The mapping came with the fork. */
static int join(struct channel *channel, struct error *err)
{
	return shared_adopt(channel, shared_area(channel), "mmap", err);
}

/* Requests are odd and responses even, so that one word does for both. */
static int await(struct channel *channel, uint64_t value, struct error *err)
{
	while (__atomic_load_n(&shared_area(channel)->word, __ATOMIC_ACQUIRE) != value) {
		int status = watchdog_ticked ? watchdog_check(&channel->watchdog, err) : STATUS_OK;

		if (status)
			return status;
		spin_pause();
	}
	return STATUS_OK;
}

static int ask(struct channel *channel, struct error *err)
{
	struct shared_area *area = shared_area(channel);
	int status;

	__atomic_store_n(&area->word, 2 * channel->word - 1, __ATOMIC_RELEASE);
	status = await(channel, 2 * channel->word, err);
	if (!status)
		channel_consume(channel, area->payload, channel->size);
	return status;
}

static int answer(struct channel *channel, struct error *err)
{
	int status = await(channel, 2 * channel->word + 1, err);

	if (status)
		return status;
	status = channel_expect(channel, channel->word + 1, err);
	if (status)
		return status;
	__atomic_store_n(&shared_area(channel)->word, 2 * channel->word, __ATOMIC_RELEASE);
	return STATUS_OK;
}

const struct transport transport_cache_line = {
	.name = "cache-line",
	.summary = "the limit: one cache line, there and back, both sides spin",
	.state_size = sizeof(struct shared),
	.create = create,
	.join = join,
	.leave = shared_leave,
	.ask = ask,
	.answer = answer,
};
