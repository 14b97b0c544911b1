#include "server/prefetch_answer.h"

#include "server/prefetch_list.h"
#include "server/serve_image.h"
#include "server/window.h"

#include <errno.h>
#include <string.h>

/* A request that found its list full waits until so many are left: its client is not woken for each. */
#define LEFT_MAX (WIRE_PREFETCH_MAX * 3 / 4)

/* The first one that failed, which is to be told; NULL if there is none. */
static struct prefetch *first_untold(const struct prefetch_list *list)
{
	struct prefetch *prefetch = list->untold ? list->first : NULL;

	while (prefetch && prefetch->state != PREFETCH_FAILED)
		prefetch = prefetch->next;
	return prefetch;
}

/* What is told of one that failed; how many bytes of text. */
static size_t tell_failure(
	const struct server *server, const struct prefetch *prefetch, char text[WIRE_TEXT_SIZE])
{
	const char *shown;
	size_t name, message;

	shown = prefetch->name + server->within.length;
	name = strlen(shown) + 1;
	memcpy(text, shown, name);
	message = prefetch->message ? strlen(prefetch->message) : 0;
	if (message > WIRE_TEXT_SIZE - name)
		message = WIRE_TEXT_SIZE - name;
	if (message)
		memcpy(text + name, prefetch->message, message);
	return name + message;
}

/* Whether nothing of the list is begun before images of the window are used. */
static bool waits_for_readers(struct server *server, const struct prefetch_list *list)
{
	return list->count > list->untold &&
	       (server->prefetches.refused || window_full(&server->store));
}

/* False if the request has been withdrawn: then nothing is listed for it, and told. */
static bool answer_request(struct server *server, struct request *request)
{
	const struct seat_request *received = &request->received;
	struct prefetch_list *list = &server->prefetches.lists[received->seat];
	const struct head *head = &server->objects.head;
	struct prefetch *told = first_untold(list), *appended = NULL;
	struct wire_answer answer = {.full = waits_for_readers(server, list)};
	char text[WIRE_TEXT_SIZE];
	struct error err;
	bool taken;

	if (received->name[0] && !(appended = prefetch_append(server, request))) {
		error_os(&err, ENOMEM, "no memory for another image");
		serving_answer_failure(&server->serving, received, &err);
		return true;
	}
	if (told) {
		answer.flags = (uint32_t)told->status;
		request_put_text(head_seat(head, received->seat), &answer, text,
			tell_failure(server, told, text));
	}
	request_put_answer(head, received->seat,
		(const uint64_t[4]){
			[WIRE_PREFETCH_LISTED] = list->count - list->untold,
			[WIRE_PREFETCH_DECODED] = list->decoded,
			[WIRE_PREFETCH_FAILED] = list->failed,
			[WIRE_PREFETCH_UNUSED] = server->store.window.seats[received->seat].count,
		},
		&answer);
	taken = serving_complete(&server->serving, received, 0);
	if (taken && told) {
		list->untold--;
		prefetch_unlist(list, told);
		prefetch_free(told);
	} else if (!taken && appended) {
		prefetch_unlist(list, appended);
		prefetch_forget(server, appended);
	}
	return taken;
}

/* Whether the request, which names an image or asks for news, can be answered if it goes on to the
 * list while that has at most `most` images. */
static bool answerable(
	const struct prefetch_list *list, const struct seat_request *received, size_t most)
{
	/* What is told leaves its place. */
	if (list->untold)
		return true;
	if (received->name[0])
		return list->count <= most;
	return !list->count || list->decoded + list->failed != received->request.known;
}

/* Whether who asked waits still: else only the word in the seat has changed. */
static bool waits(const struct server *server, const struct seat_request *received)
{
	return atomic_load(&head_seat(&server->objects.head, received->seat)->state_word) ==
	       WIRE_STATE_WORD(received->sequence, WIRE_TAKEN);
}

void prefetch_look(struct server *server, unsigned seat)
{
	const struct prefetch_list *list = &server->prefetches.lists[seat];
	struct request *request = &server->requests[seat];

	if (atomic_load(&request->state) != REQUEST_WAITS_PREFETCH)
		return;
	if (waits(server, &request->received)) {
		if (!answerable(list, &request->received, LEFT_MAX))
			return;
		answer_request(server, request);
	}
	atomic_store(&request->state, REQUEST_NONE);
}

/* Whether the image is stored, and its turn has come: then it is in the window. If it has not, the image
 * is as recently used as if it had just been decoded. */
static bool stored_already(struct server *server, const struct request *request)
{
	unsigned seat = request->received.seat;
	struct stored *image = NULL;

	if (request->received.name[0])
		image = serve_known(server, request->received.name, LINK_DECODE, &request->options);
	if (!image || image->state != STORED_READY)
		return false;
	if (prefetch_first_listed(&server->prefetches.lists[seat]) || window_full(&server->store)) {
		store_touch(&server->store, image);
		return false;
	}
	window_add(&server->store, image, seat, ++server->prefetches.order);
	return true;
}

void prefetch_ask(struct server *server, struct request *request)
{
	struct seat_request *received = &request->received;
	struct prefetch_list *list = &server->prefetches.lists[received->seat];
	uint64_t resets = prefetch_resets(server, received->seat);

	if (server->within.length && received->name[0] && !serve_enter(server, request))
		return;
	if (list->resets != resets)
		prefetch_drop(server, received->seat);
	list->resets = resets;
	if (stored_already(server, request)) {
		list->decoded++;
		received->name[0] = '\0';
		if (!answer_request(server, request))
			list->decoded--;
	} else if (answerable(list, received, WIRE_PREFETCH_MAX - 1)) {
		answer_request(server, request);
	} else if (request_take(&server->objects.head, received)) {
		atomic_store(&request->state, REQUEST_WAITS_PREFETCH);
	}
}
