#include "server/link.h"

#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "exchange/image_answer.h"
#include "server/descriptor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* What a supervisor that reports a late image has to do so, before it is taken for stuck itself. */
#define ISOLATE_GRACE_NS (500 * NS_PER_MS)

bool link_layout(const struct image_info *info, uint64_t *ret_profile, uint64_t *ret_total)
{
	uint64_t profile = 0, total = info->bytes;

	if (info->icc_bytes && (!size_align(info->bytes, LINK_PROFILE_ALIGN, &profile) ||
				       !size_add(profile, info->icc_bytes, &total)))
		return false;
	*ret_profile = profile;
	*ret_total = total;
	return true;
}

/* A decoder that cannot be told finds its socket closed, and so do we. */
static bool send_job(const struct decoder *decoder, int file)
{
	if (descriptor_send(decoder->socket, &decoder->message, sizeof decoder->message, file))
		return true;
	shutdown(decoder->socket, SHUT_RDWR);
	return false;
}

/* The geometry that a decoder claims must fit together and keep to the limits, whatever the decoder
 * has checked itself. */
static bool info_fits(
	const struct image_info *info, const struct image_limits *limits, struct decoded *ret)
{
	uint64_t pixels = (uint64_t)info->width * info->height, bytes;
	uint32_t stride;

	if (!image_answer_geometry(
		    info->width, info->height, info->channels, info->bits, &stride, &bytes) ||
		bytes != info->bytes)
		return false;
	if ((limits->pixels && pixels > limits->pixels) ||
		(limits->bytes && bytes > limits->bytes) ||
		(limits->side && (info->width > limits->side || info->height > limits->side)))
		return false;
	if (limits->chunk_bytes && info->icc_bytes > limits->chunk_bytes)
		return false;
	ret->info = *info;
	return link_layout(info, &ret->profile, &ret->total);
}

bool link_ask(struct decoder *decoder, const struct link_job *job, int file, uint64_t timeout_ns)
{
	decoder->message = *job;
	decoder->message.deadline = deadline_after(timeout_ns);
	decoder->deadline = decoder->message.deadline;
	if (decoder->setup.isolate && decoder->deadline < DEADLINE_NEVER - ISOLATE_GRACE_NS)
		decoder->deadline += ISOLATE_GRACE_NS; /* it keeps the time itself, and reports */
	decoder->state = DECODER_HAS_JOB;
	return send_job(decoder, file);
}

void link_give_room(struct decoder *decoder, uint64_t offset, uint64_t length)
{
	decoder->message.kind = LINK_ROOM;
	decoder->message.offset = offset;
	decoder->message.length = length;
	decoder->state = length ? DECODER_HAS_ROOM : DECODER_NO_ROOM;
	send_job(decoder, -1);
}

/* The image's status, or REPLY_WRONG. */
static enum reply_outcome check_done(const struct decoder *decoder, const struct link_reply *reply,
	struct decoded *ret, int *ret_status, struct error *err)
{
	const struct link_job *message = &decoder->message;

	if (reply->status) {
		if (!error_status_valid(reply->status))
			return REPLY_WRONG;
		*ret_status = error_set(err, (int)reply->status, "%s",
			reply->text[0] && text_is_plain(reply->text, strlen(reply->text))
				? reply->text
				: "its decoder failed without an error message");
		return REPLY_COMPLETE;
	}
	if (!info_fits(&reply->info, &message->limits, ret) ||
		(message->kind != LINK_PROBE && ret->total > message->length))
		return REPLY_WRONG;
	text_escape(reply->text, strlen(reply->text), ret->warning, sizeof ret->warning);
	*ret_status = STATUS_OK;
	return REPLY_COMPLETE;
}

/* A whole message, as far as it makes sense in the state that the decoder is in. */
static enum reply_outcome check_reply(const struct decoder *decoder, const struct link_reply *reply,
	struct decoded *ret, int *ret_status, struct error *err)
{
	bool done = reply->kind == LINK_DONE, need = reply->kind == LINK_NEED;

	if (reply->number != decoder->message.number)
		return REPLY_WRONG;
	switch (decoder->state) {
	case DECODER_HAS_JOB:
		if (need && decoder->message.kind == LINK_DECODE)
			return info_fits(&reply->info, &decoder->message.limits, ret) ? REPLY_NEED
										      : REPLY_WRONG;
		return done ? check_done(decoder, reply, ret, ret_status, err) : REPLY_WRONG;
	case DECODER_HAS_ROOM:
		return done ? check_done(decoder, reply, ret, ret_status, err) : REPLY_WRONG;
	case DECODER_NO_ROOM:
		return done ? REPLY_COMPLETE : REPLY_WRONG;
	case DECODER_DEAD:
	case DECODER_STARTING:
	case DECODER_IDLE:
	case DECODER_NEEDS_ROOM:
	case DECODER_ENDING:
		break;
	}
	return REPLY_WRONG;
}

/* What it said before it ended comes behind the error that it left a message of ours unread. */
static ssize_t receive(int socket, struct link_reply *reply)
{
	ssize_t size = recv(socket, reply, sizeof *reply, MSG_DONTWAIT);

	if (size < 0 && errno == ECONNRESET)
		size = recv(socket, reply, sizeof *reply, MSG_DONTWAIT);
	return size;
}

enum reply_outcome link_receive(const struct decoder *decoder, struct link_reply *reply,
	struct decoded *ret, int *ret_status, struct error *err)
{
	ssize_t size = receive(decoder->socket, reply);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return REPLY_NONE;
	if (size <= 0)
		return REPLY_DEAD;
	if (size != (ssize_t)sizeof *reply)
		return REPLY_WRONG;
	reply->text[sizeof reply->text - 1] = '\0';
	if (reply->kind == LINK_DIED)
		return REPLY_DIED;
	if (reply->kind == LINK_UNFIT)
		return REPLY_UNFIT;
	return check_reply(decoder, reply, ret, ret_status, err);
}
