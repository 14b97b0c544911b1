/* libshmsem: the responder's room. An image's room is used again once no requester holds it. */
#include "base/number.h"
#include "base/process.h"
#include "client/error.h"
#include "client/responder.h"
#include "exchange/image_answer.h"
#include "exchange/seats.h"

#include <errno.h>
#include <stdlib.h>

#define ICC_ALIGN 64

bool responder_is_ours(const struct shmsem_server *server, struct error *err)
{
	if (server->owner == process_id())
		return true;
	error_set(err, STATUS_USAGE,
		"this server was made before fork(); only the parent can use it");
	return false;
}

int responder_truncated(struct error *err)
{
	return error_set(err, STATUS_UNAVAILABLE, "somebody truncated a shared object");
}

void responder_forget(struct shmsem_server *server, struct placed *placed)
{
	arena_give(&server->arena, placed->extent);
	free(placed);
}

void responder_leave(struct shmsem_server *server, struct placed *placed)
{
	placed->next = server->placed;
	server->placed = placed;
}

/* Gives back the room of images that nobody holds any more. */
static int reclaim_room(struct shmsem_server *server, struct error *err)
{
	struct placed **at = &server->placed, *placed;
	struct held held;

	seats_reclaim(&server->objects.head);
	if (!held_collect(&server->objects.head, &held))
		return error_os(err, ENOMEM, "no memory to look for room");
	while ((placed = *at))
		if (held_contains(&held, placed->number)) {
			at = &placed->next;
		} else {
			*at = placed->next;
			responder_forget(server, placed);
		}
	free(held.numbers);
	return STATUS_OK;
}

static int no_room(uint64_t bytes, const struct shmsem_server *server, struct error *err)
{
	char need[SIZE_TEXT_SIZE], have[SIZE_TEXT_SIZE], allowed[SIZE_TEXT_SIZE];

	return error_set(err, STATUS_TRY_AGAIN,
		"no room: %s needed, %s held by clients, %s allowed", format_size(bytes, need),
		format_size(server->arena.used, have),
		format_size(server->options.memory, allowed));
}

static int take_room(
	struct shmsem_server *server, uint64_t bytes, struct placed **ret, struct error *err)
{
	struct segment *segment = &server->objects.data[0];
	struct placed *placed;
	struct extent *first;
	uint64_t holes;
	int status;

	if (!size_align(bytes, server->objects.head.page, &bytes))
		return no_room(bytes, server, err);
	status = reclaim_room(server, err);
	if (status)
		return status;
	holes = arena_find(&server->arena, bytes, &first);
	if (holes == UINT64_MAX)
		return no_room(bytes, server, err);
	placed = calloc(1, sizeof *placed);
	if (placed)
		placed->extent = arena_take(&server->arena, first, bytes);
	if (!placed || !placed->extent) {
		free(placed);
		return error_os(err, ENOMEM, "no memory to make room");
	}
	if (holes || server->distrust) {
		/* Growing would make it look whole. */
		server->cut |= segment_truncated(segment);
		status = server->cut ? responder_truncated(err)
				     : segment_back(segment, placed->extent->offset, bytes, err);
	}
	if (status) {
		/* It counts as backed now, and may be in part. */
		server->distrust = true;
		responder_forget(server, placed);
		return status;
	}
	placed->number = server->next_number++;
	*ret = placed;
	return STATUS_OK;
}

static int check_geometry(
	const struct shmsem_info *given, struct shmsem_info *ret, struct error *err)
{
	struct shmsem_info info = *given;

	if (info.reserved)
		return error_set(
			err, STATUS_USAGE, "the image has a field that this library does not know");
	if (!info.bits)
		info.bits = 8;
	if (!image_answer_geometry(
		    info.width, info.height, info.channels, info.bits, &info.stride, &info.bytes))
		return error_set(err, STATUS_INTERNAL,
			"the program made an impossible image: %u×%u×%u of %u bits", info.width,
			info.height, info.channels, info.bits);
	*ret = info;
	return STATUS_OK;
}

int responder_place(struct shmsem_answer *answer, const struct shmsem_info *info, void **ret_pixels,
	void **ret_icc, struct error *err)
{
	struct shmsem_server *server = answer->server;
	uint64_t total, profile;
	uint8_t *base;
	int status = check_geometry(info, &answer->info, err);

	if (status)
		return status;
	*ret_pixels = NULL;
	if (ret_icc)
		*ret_icc = NULL;
	if (!size_align(answer->info.bytes, ICC_ALIGN, &profile) ||
		!size_add(profile, info->icc_bytes, &total))
		return no_room(answer->info.bytes, server, err);
	status = take_room(server, total, &answer->placed, err);
	if (status)
		return status;
	base = server->objects.data[0].base + answer->placed->extent->offset;
	answer->info.offset = profile;
	*ret_pixels = base;
	if (ret_icc && info->icc_bytes)
		*ret_icc = base + profile;
	return STATUS_OK;
}

static int place_image(struct shmsem_answer *answer, const struct shmsem_info *info,
	void **ret_pixels, void **ret_icc, struct error *err)
{
	struct shmsem_server *server = answer->server;
	int status;

	if (!responder_is_ours(server, err))
		return STATUS_USAGE;
	if (answer->listing || answer->info.width)
		return error_set(
			err, STATUS_USAGE, "shmsem_place is for one image of the callback 'make'");
	if (server->received.request.operation == WIRE_GET) {
		pthread_mutex_lock(&server->lock);
		status = responder_place(answer, info, ret_pixels, ret_icc, err);
		pthread_mutex_unlock(&server->lock);
		return status;
	}
	*ret_pixels = NULL;
	if (ret_icc)
		*ret_icc = NULL;
	return check_geometry(info, &answer->info, err);
}

int shmsem_place(struct shmsem_answer *answer, const struct shmsem_info *info, void **ret_pixels,
	void **ret_icc, struct shmsem_error *error)
{
	struct error err = {0};

	return error_export(error, &err, place_image(answer, info, ret_pixels, ret_icc, &err));
}

void responder_image_answer(
	const struct shmsem_answer *made, struct wire_answer *ret, uint64_t ret_words[4])
{
	const struct shmsem_info *info = &made->info;
	const struct placed *placed = made->placed;

	IMAGE_ANSWER_DESCRIBE(ret, ret_words, info, info->warning);
	ret->scale = info->scale ? info->scale : 1;
	ret->age = info->age_ns;
	ret->file_bytes = info->file_bytes;
	if (!placed)
		return;
	ret->image = placed->number;
	ret->offset = placed->extent->offset;
	ret->icc_offset = placed->extent->offset + info->offset;
}
