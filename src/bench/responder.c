#include "bench/responder.h"

#include "bench/machine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int answer_all(struct channel *channel, uint64_t operations, struct error *err)
{
	for (uint64_t i = 0; i < operations; i++) {
		int status = watchdog_ticked ? watchdog_check(&channel->watchdog, err) : STATUS_OK;

		if (status)
			return status;
		status = channel->transport->answer(channel, err);
		watchdog_progress(&channel->watchdog);
		if (status)
			return status;
	}
	return STATUS_OK;
}

static int join(struct channel *channel, int control, struct error *err)
{
	const struct error ready = {0};
	int status = channel->transport->join(channel, err);

	if (status)
		return status;
	if (!channel->source)
		channel->source = malloc(channel->size);
	if (!channel->source)
		return error_os(err, ENOMEM, "no room for the payload");
	return channel_write(channel, control, &ready, sizeof ready, err);
}

static int follow_orders(struct channel *channel, int control, struct error *err)
{
	uint64_t seed = 0;

	for (;;) {
		struct responder_order order;
		int status = channel_read(channel, control, &order, sizeof order, err);

		watchdog_progress(&channel->watchdog);
		if (status)
			return status;
		if (order.seed != seed)
			payload_fill(channel->source, channel->size, order.seed);
		seed = order.seed;
		status = answer_all(channel, order.operations, err);
		if (status)
			return status;
	}
}

static int respond(struct channel *channel, int control, pid_t parent, int cpu, struct error *err)
{
	int status = watchdog_begin_child(&channel->watchdog, parent, err);

	channel->requester = false;
	if (status)
		return status;
	status = machine_run_on(cpu, err);
	if (status)
		return status;
	status = join(channel, control, err);
	return status ? status : follow_orders(channel, control, err);
}

_Noreturn void responder_run(
	struct channel *channel, int control, pid_t parent, int cpu, struct error *err)
{
	int status = respond(channel, control, parent, cpu, err);

	if (getppid() != parent) {
		/* The requester was killed: no one else is left to remove what both used. */
		if (channel->transport->hide)
			channel->transport->hide(channel);
		if (channel->transport->remove)
			channel->transport->remove(channel);
	} else {
		send(control, err, sizeof *err, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	_exit(status);
}
