#include "server/answer.h"

#include "base/clock.h"
#include "exchange/image_answer.h"
#include "server/blocking.h"
#include "server/jobs.h"
#include "server/window.h"
#include "shmsem.h"

#include <string.h>

/* The format is answered as it is. */
_Static_assert((int)SHMSEM_FORMAT_UNKNOWN == (int)IMAGE_FORMAT_UNKNOWN, "formats");
_Static_assert((int)SHMSEM_PNG == (int)IMAGE_FORMAT_PNG, "formats");
_Static_assert((int)SHMSEM_JPEG == (int)IMAGE_FORMAT_JPEG, "formats");

/* By a clock that ticks every few ms if that will do: it is cheaper to look at, and an answer that
 * is the same as the last one leaves the requester's cache alone. */
static uint64_t age_of(const struct stored *image, bool coarse)
{
	uint64_t now = coarse ? clock_coarse() : clock_now();

	return now > image->decoded_at ? now - image->decoded_at : 0;
}

void answer_describe(const struct server *server, const struct stored *image,
	struct wire_answer *ret, uint64_t ret_words[4])
{
	const struct image_info *info = &image->decoded.info;

	IMAGE_ANSWER_DESCRIBE(ret, ret_words, info, image->decoded.warning);
	ret->image = image->number;
	ret->file_bytes = image->key.size;
	ret->truncations = server->store.all_truncations;
	if (!image->extent)
		return;
	ret->segment = image->segment;
	ret->offset = image->extent->offset;
	ret->icc_offset = image->extent->offset + image->decoded.profile;
}

void answer_failure(
	struct server *server, const struct request *request, const struct error *failure)
{
	struct error shown = *failure;

	within_hide(&server->within, &shown);
	serving_answer_failure(&server->serving, &request->received, &shown);
}

/* With the store's lock held: the hold word must be there before anybody may look for room. */
static void answer_image(
	struct server *server, const struct request *request, struct stored *image, bool from_store)
{
	struct wire_seat *page = head_seat(&server->objects.head, request->received.seat);
	struct wire_seat_counters *counters = head_seat_counters(
		&server->objects.head, request->received.seat);
	bool get = request->received.request.operation == WIRE_GET;
	struct wire_answer answer;
	uint64_t words[4];

	answer_describe(server, image, &answer, words);
	if (image->extent) {
		answer.flags |= from_store ? WIRE_FROM_STORE : 0;
		answer.age = age_of(image, get);
	}
	if (!get)
		answer.holders = store_holders(&server->store, image);
	if (image->decoded.warning[0])
		request_put_text(
			page, &answer, image->decoded.warning, strlen(image->decoded.warning));
	request_put_answer(&server->objects.head, request->received.seat, words, &answer);
	if (from_store && get) {
		wire_count(&head_server(&server->objects.head)->counters[WIRE_COUNT_HITS], 1);
		wire_count(&counters->hits, 1);
	}
	wire_count(&counters->bytes, words[0]);
	serving_complete(&server->serving, &request->received, get ? image->number : 0);
}

void answer_later(struct server *server, struct request *request, struct stored *image)
{
	if (!request->received.taken && !request_take(&server->objects.head, &request->received))
		return;
	request->image = image;
	request->next = image->waiters;
	image->waiters = request;
	atomic_store(&request->state, REQUEST_WAITS_IMAGE);
	job_awaited(server, image);
}

/* Whether the request was in that list, from which it is taken. */
static bool list_remove(struct request **at, const struct request *request)
{
	while (*at && *at != request)
		at = &(*at)->next;
	if (!*at)
		return false;
	*at = request->next;
	return true;
}

void answer_never(struct server *server, struct request *request)
{
	switch (atomic_load(&request->state)) {
	case REQUEST_NONE:
		return;
	case REQUEST_WAITS_IMAGE:
		list_remove(&request->image->waiters, request);
		job_unwanted(server, request->image);
		break;
	case REQUEST_WAITS_FILE:
		blocking_forget(server, request);
		break;
	case REQUEST_WAITS_PREFETCH:
		break;
	case REQUEST_WAITS_NAMES:
		if (!list_remove(&server->names.waiting, request))
			list_remove(&server->names.current, request);
		break;
	}
	atomic_store(&request->state, REQUEST_NONE);
}

void answer_with(struct server *server, struct request *request, struct stored *image)
{
	switch (image->state) {
	case STORED_DECODING:
		answer_later(server, request, image);
		break;
	case STORED_READY:
		if (request->received.request.operation == WIRE_GET)
			window_use(&server->store, image);
		else
			store_touch(&server->store, image);
		answer_image(server, request, image, true);
		break;
	case STORED_FAILED:
		answer_failure(server, request, &image->failure);
		break;
	}
}

void answer_waiters(struct server *server, struct stored *image)
{
	struct request *request = image->waiters, *next;

	image->waiters = NULL;
	for (; request; request = next) {
		next = request->next;
		if (image->state == STORED_FAILED)
			answer_failure(server, request, &image->failure);
		else
			answer_image(server, request, image, false);
		atomic_store(&request->state, REQUEST_NONE);
	}
}
