/*
 * Message queues, POSIX (mq_open) and System V (msgget). Both take messages of 8 KiB by default and
 * hold a few; a larger payload is sent in pieces.
 */
#include "bench/families.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

/* The default of fs.mqueue.msgsize_max and of kernel.msgmax. */
#define MESSAGE_BYTES 8192
/* The default of fs.mqueue.msg_max. */
#define MESSAGES 10

_Static_assert(MESSAGE_BYTES <= BUFFER_SLACK, "the last piece is received where the payload ends");

struct posix_queue {
	mqd_t queues[2]; /* [response] */
};

struct queue_name {
	char text[64];
};

static struct queue_name queue_name(const struct channel *channel, bool response)
{
	struct queue_name name;

	snprintf(name.text, sizeof name.text, "/%s-%s", channel->name, response ? "res" : "req");
	return name;
}

static size_t piece_at(const struct channel *channel, size_t done)
{
	size_t left = channel->size - done;

	return left < MESSAGE_BYTES ? left : MESSAGE_BYTES;
}

static int posix_create(struct channel *channel, struct error *err)
{
	struct posix_queue *state = channel->state;

	state->queues[0] = state->queues[1] = -1;
	for (int response = 0; response < 2; response++) {
		struct mq_attr attributes = {.mq_maxmsg = response ? MESSAGES : 1,
			.mq_msgsize = response ? MESSAGE_BYTES : (long)sizeof channel->word};
		mqd_t queue = mq_open(queue_name(channel, response).text,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);

		if (queue < 0)
			return error_os(err, errno, "mq_open");
		mq_close(queue);
	}
	return STATUS_OK;
}

static int posix_join(struct channel *channel, struct error *err)
{
	struct posix_queue *state = channel->state;

	for (int response = 0; response < 2; response++) {
		bool reads = channel->requester == (bool)response;

		state->queues[response] = mq_open(queue_name(channel, response).text,
			(reads ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
		if (state->queues[response] < 0)
			return error_os(err, errno, "mq_open");
	}
	return STATUS_OK;
}

static void posix_hide(struct channel *channel)
{
	for (int response = 0; response < 2; response++)
		mq_unlink(queue_name(channel, response).text);
}

static void posix_leave(struct channel *channel)
{
	struct posix_queue *state = channel->state;

	for (int response = 0; response < 2; response++)
		if (state->queues[response] >= 0)
			mq_close(state->queues[response]);
	state->queues[0] = state->queues[1] = -1;
}

static int posix_send(
	struct channel *channel, bool response, const void *data, size_t size, struct error *err)
{
	const struct posix_queue *state = channel->state;

	while (mq_send(state->queues[response], data, size, 0)) {
		int status = channel_again(channel, "mq_send", err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static int posix_receive(struct channel *channel, bool response, void *data, size_t room,
	size_t expected, struct error *err)
{
	const struct posix_queue *state = channel->state;
	ssize_t size;

	while ((size = mq_receive(state->queues[response], data, room, NULL)) < 0) {
		int status = channel_again(channel, "mq_receive", err);

		if (status)
			return status;
	}
	return (size_t)size == expected ? STATUS_OK
					: error_set(err, STATUS_BAD_DATA, "a message is cut");
}

static int posix_ask(struct channel *channel, struct error *err)
{
	int status = posix_send(channel, false, &channel->word, sizeof channel->word, err);

	for (size_t done = 0; !status && done < channel->size; done += MESSAGE_BYTES)
		status = posix_receive(channel, true, channel->buffer + done, MESSAGE_BYTES,
			piece_at(channel, done), err);
	if (status)
		return status;
	channel_consume(channel, channel->buffer, channel->size);
	return STATUS_OK;
}

static int posix_answer(struct channel *channel, struct error *err)
{
	uint64_t word = 0;
	int status = posix_receive(channel, false, &word, sizeof word, sizeof word, err);

	if (status)
		return status;
	status = channel_expect(channel, word, err);
	for (size_t done = 0; !status && done < channel->size; done += MESSAGE_BYTES)
		status = posix_send(
			channel, true, channel->source + done, piece_at(channel, done), err);
	return status;
}

/* Requests and responses share a queue and differ in type. */
struct sysv_message {
	long type;
	uint8_t data[MESSAGE_BYTES];
};

enum sysv_type {
	SYSV_REQUEST = 1,
	SYSV_RESPONSE = 2,
};

struct sysv_queue {
	int queue;
	bool made;
	struct sysv_message message; /* to send from or to receive in */
};

static int sysv_create(struct channel *channel, struct error *err)
{
	struct sysv_queue *state = channel->state;

	state->queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	if (state->queue < 0)
		return error_os(err, errno, "msgget");
	state->made = true;
	return STATUS_OK;
}

/* The identifier came with the fork. */
static int sysv_join(struct channel *channel, struct error *err)
{
	(void)channel;
	(void)err;
	return STATUS_OK;
}

static void sysv_remove(struct channel *channel)
{
	struct sysv_queue *state = channel->state;

	if (state->made)
		msgctl(state->queue, IPC_RMID, NULL);
	state->made = false;
}

/* It has no descriptor to close. */
static void sysv_leave(struct channel *channel)
{
	(void)channel;
}

static int sysv_send(struct channel *channel, enum sysv_type type, const void *data, size_t size,
	struct error *err)
{
	struct sysv_queue *state = channel->state;

	state->message.type = type;
	memcpy(state->message.data, data, size);
	while (msgsnd(state->queue, &state->message, size, 0)) {
		int status = channel_again(channel, "msgsnd", err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static int sysv_receive(
	struct channel *channel, enum sysv_type type, size_t expected, struct error *err)
{
	struct sysv_queue *state = channel->state;
	ssize_t size;

	while ((size = msgrcv(state->queue, &state->message, MESSAGE_BYTES, type, 0)) < 0) {
		int status = channel_again(channel, "msgrcv", err);

		if (status)
			return status;
	}
	return (size_t)size == expected ? STATUS_OK
					: error_set(err, STATUS_BAD_DATA, "a message is cut");
}

static int sysv_ask(struct channel *channel, struct error *err)
{
	struct sysv_queue *state = channel->state;
	int status = sysv_send(channel, SYSV_REQUEST, &channel->word, sizeof channel->word, err);

	if (status)
		return status;
	while (channel->consumed < channel->size) {
		size_t piece = piece_at(channel, channel->consumed);

		status = sysv_receive(channel, SYSV_RESPONSE, piece, err);
		if (status)
			return status;
		channel_consume(channel, state->message.data, piece);
	}
	return STATUS_OK;
}

static int sysv_answer(struct channel *channel, struct error *err)
{
	const struct sysv_queue *state = channel->state;
	uint64_t word;
	int status = sysv_receive(channel, SYSV_REQUEST, sizeof word, err);

	if (status)
		return status;
	memcpy(&word, state->message.data, sizeof word);
	status = channel_expect(channel, word, err);
	for (size_t done = 0; !status && done < channel->size; done += MESSAGE_BYTES)
		status = sysv_send(channel, SYSV_RESPONSE, channel->source + done,
			piece_at(channel, done), err);
	return status;
}

const struct transport transport_posix_queue = {
	.name = "posix-mq",
	.summary = "POSIX message queues",
	.state_size = sizeof(struct posix_queue),
	.piece = MESSAGE_BYTES,
	.create = posix_create,
	.join = posix_join,
	.hide = posix_hide,
	.leave = posix_leave,
	.ask = posix_ask,
	.answer = posix_answer,
};

const struct transport transport_sysv_queue = {
	.name = "sysv-mq",
	.summary = "System V message queue",
	.state_size = sizeof(struct sysv_queue),
	.piece = MESSAGE_BYTES,
	.create = sysv_create,
	.join = sysv_join,
	.remove = sysv_remove,
	.leave = sysv_leave,
	.ask = sysv_ask,
	.answer = sysv_answer,
};
