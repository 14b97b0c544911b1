/*
 * Byte streams through the kernel: two pipes, two named pipes, a Unix socket. The responder writes
 * the payload from its own memory, the requester reads it into its own.
 */
#include "bench/families.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct stream {
	int in, out;
	int pipes[2][2]; /* [response]: as pipe2 gave them */
	int listener;
	char paths[2][108]; /* [response]; a socket has only the first */
};

static struct stream *stream_init(struct channel *channel)
{
	struct stream *stream = channel->state;

	*stream = (struct stream){
		.in = -1, .out = -1, .pipes = {{-1, -1}, {-1, -1}}, .listener = -1};
	return stream;
}

static void leave(struct channel *channel)
{
	struct stream *stream = channel->state;

	if (stream->in == stream->out)
		stream->out = -1;
	cleanup_fd(&stream->in);
	cleanup_fd(&stream->out);
	cleanup_fd(&stream->listener);
	for (int i = 0; i < 4; i++)
		cleanup_fd(&stream->pipes[i / 2][i % 2]);
}

static int ask(struct channel *channel, struct error *err)
{
	const struct stream *stream = channel->state;
	int status = channel_write(channel, stream->out, &channel->word, sizeof channel->word, err);

	if (status)
		return status;
	status = channel_read(channel, stream->in, channel->buffer, channel->size, err);
	if (status)
		return status;
	channel_consume(channel, channel->buffer, channel->size);
	return STATUS_OK;
}

static int answer(struct channel *channel, struct error *err)
{
	const struct stream *stream = channel->state;
	uint64_t word;
	int status = channel_read(channel, stream->in, &word, sizeof word, err);

	if (!status)
		status = channel_expect(channel, word, err);
	return status ? status
		      : channel_write(channel, stream->out, channel->source, channel->size, err);
}

static int create_pipes(struct channel *channel, struct error *err)
{
	struct stream *stream = stream_init(channel);

	for (int response = 0; response < 2; response++)
		if (pipe2(stream->pipes[response], O_CLOEXEC))
			return error_os(err, errno, "pipe");
	return STATUS_OK;
}

/* Keeps the two ends of this side, so that the other side's death ends a read. */
static int join_pipes(struct channel *channel, struct error *err)
{
	struct stream *stream = channel->state;

	(void)err;
	stream->in = steal_fd(&stream->pipes[channel->requester][0]);
	stream->out = steal_fd(&stream->pipes[!channel->requester][1]);
	for (int i = 0; i < 4; i++)
		cleanup_fd(&stream->pipes[i / 2][i % 2]);
	return STATUS_OK;
}

static int set_path(
	const struct channel *channel, const char *suffix, char path[108], struct error *err)
{
	const char *folder = getenv("TMPDIR");

	if (!folder || !*folder)
		folder = "/tmp";
	if (snprintf(path, 108, "%s/%s%s", folder, channel->name, suffix) < 108)
		return STATUS_OK;
	path[0] = '\0';
	return error_set(err, STATUS_USAGE, "TMPDIR is too long: '%s'", folder);
}

static int create_fifos(struct channel *channel, struct error *err)
{
	struct stream *stream = stream_init(channel);

	for (int response = 0; response < 2; response++) {
		int status = set_path(
			channel, response ? "-res" : "-req", stream->paths[response], err);

		if (status)
			return status;
		if (mkfifo(stream->paths[response], 0600))
			return error_os(err, errno, "mkfifo");
	}
	return STATUS_OK;
}

/* open waits for the other side to open the same pipe, so both go through them in one order. */
static int join_fifos(struct channel *channel, struct error *err)
{
	struct stream *stream = channel->state;

	for (int response = 0; response < 2; response++) {
		bool reads = channel->requester == (bool)response;
		int *fd = reads ? &stream->in : &stream->out;

		while ((*fd = open(stream->paths[response],
				(reads ? O_RDONLY : O_WRONLY) | O_CLOEXEC)) < 0) {
			int status = channel_again(channel, "open", err);

			if (status)
				return status;
		}
	}
	return STATUS_OK;
}

static void hide(struct channel *channel)
{
	const struct stream *stream = channel->state;

	for (int i = 0; i < 2; i++)
		if (stream->paths[i][0])
			unlink(stream->paths[i]);
}

static int socket_address(const struct stream *stream, struct sockaddr_un *ret)
{
	_Static_assert(
		sizeof ret->sun_path == sizeof stream->paths[0], "a path is one of a socket");
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof ret->sun_path, "%s", stream->paths[0]);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int create_socket(struct channel *channel, struct error *err)
{
	struct stream *stream = stream_init(channel);
	struct sockaddr_un address;
	int status = set_path(channel, "", stream->paths[0], err);

	if (status)
		return status;
	stream->listener = socket_address(stream, &address);
	if (stream->listener < 0)
		return error_os(err, errno, "socket");
	if (bind(stream->listener, (struct sockaddr *)&address, sizeof address))
		return error_os(err, errno, "bind");
	return listen(stream->listener, 1) ? error_os(err, errno, "listen") : STATUS_OK;
}

static int join_socket(struct channel *channel, struct error *err)
{
	struct stream *stream = channel->state;
	struct sockaddr_un address;
	int status;

	if (!channel->requester) {
		stream->in = stream->out = socket_address(stream, &address);
		if (stream->in < 0)
			return error_os(err, errno, "socket");
		/* There is room in the listener's queue: connect does not wait. */
		if (connect(stream->in, (struct sockaddr *)&address, sizeof address))
			return error_os(err, errno, "connect");
		cleanup_fd(&stream->listener);
		return STATUS_OK;
	}
	while ((stream->in = accept4(stream->listener, NULL, NULL, SOCK_CLOEXEC)) < 0) {
		status = channel_again(channel, "accept", err);
		if (status)
			return status;
	}
	stream->out = stream->in;
	return STATUS_OK;
}

#define STREAM                                                                         \
	.state_size = sizeof(struct stream), .hide = hide, .leave = leave, .ask = ask, \
	.answer = answer

const struct transport transport_pipe = {
	.name = "pipe",
	.summary = "two pipes",
	.create = create_pipes,
	.join = join_pipes,
	STREAM,
};

const struct transport transport_fifo = {
	.name = "fifo",
	.summary = "two named pipes (mkfifo)",
	.create = create_fifos,
	.join = join_fifos,
	STREAM,
};

const struct transport transport_unix_socket = {
	.name = "unix-socket",
	.summary = "Unix stream socket",
	.create = create_socket,
	.join = join_socket,
	STREAM,
};
