/* libshmsem: what the responder answers, by the callbacks of the program. */
#include "client/error.h"
#include "client/options.h"
#include "client/responder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- images ---- */

static void refuse(struct shmsem_server *server, const struct seat_request *received,
	const struct error *failure)
{
	wire_count(&head_server(&server->objects.head)->counters[WIRE_COUNT_FAILURES], 1);
	serving_answer_failure(&server->serving, received, failure);
}

static void answer_image(
	const struct seat_request *received, const struct shmsem_answer *made, bool kept)
{
	struct shmsem_server *server = made->server;
	struct wire_seat_counters *seat = head_seat_counters(&server->objects.head, received->seat);
	struct wire_server *page = head_server(&server->objects.head);
	const struct shmsem_info *info = &made->info;
	bool get = received->request.operation == WIRE_GET;
	struct wire_answer answer;
	uint64_t words[4];

	responder_image_answer(made, &answer, words);
	answer.flags |= kept ? WIRE_FROM_STORE : 0;
	if (made->placed && get) {
		wire_count(&page->counters[kept ? WIRE_COUNT_HITS : WIRE_COUNT_DECODES], 1);
		wire_count(&seat->hits, kept);
		wire_count(&seat->bytes, info->bytes);
	}
	if (info->warning[0])
		request_put_text(head_seat(&server->objects.head, received->seat), &answer,
			info->warning, strnlen(info->warning, sizeof info->warning));
	request_put_answer(&server->objects.head, received->seat, words, &answer);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_BACKED], server->arena.backed);
	atomic_store(&page->counters[WIRE_COUNT_CACHE_USED], server->arena.used);
	serving_complete(&server->serving, received, get ? answer.image : 0);
}

/* There is no callback to make the image. */
static int refuse_unmade(struct shmsem_server *server, const char *name, struct error *err)
{
	bool kept;

	pthread_mutex_lock(&server->lock);
	kept = responder_kept(server, name);
	pthread_mutex_unlock(&server->lock);
	return kept ? error_set(err, STATUS_USAGE,
			      "the image is handed out as it is; ask for it without options")
		    : error_set(err, STATUS_NOT_FOUND, "there is no image of that name");
}

/* What the program makes of the request. */
static int make_image(
	const struct seat_request *received, struct shmsem_answer *answer, struct error *err)
{
	struct shmsem_server *server = answer->server;
	struct shmsem_request request = {.name = received->name};
	struct shmsem_error error = {0};
	int status;

	options_ask(&request, &received->request.options);

	if (!server->options.make)
		return refuse_unmade(server, received->name, err);
	status = server->options.make(server->options.data, &request, answer, &error);
	if (status)
		return error_import(err, &error, status);
	if (!answer->info.width)
		return error_set(err, STATUS_INTERNAL, "the program made no image");
	return STATUS_OK;
}

/* Whether nothing is asked for but the image as it is. */
static bool options_plain(struct wire_options options, const struct shmsem_info *info)
{
	static const struct wire_options plain;

	if (options.image.scale == 1)
		options.image.scale = 0;
	if (options.image.channels == info->channels)
		options.image.channels = 0;
	return !memcmp(&options, &plain, sizeof plain);
}

/* Answers with what is kept; false if nothing is, or something else is asked for. With the lock
 * held. */
static bool serve_kept(struct shmsem_server *server, const struct seat_request *received)
{
	const struct kept *kept = responder_kept(server, received->name);
	struct shmsem_answer answer = {.server = server};

	if (!kept || !options_plain(received->request.options, &kept->info))
		return false;
	answer.info = kept->info;
	answer.placed = kept->placed;
	answer_image(received, &answer, true);
	return true;
}

void responder_serve_image(void *context, struct seat_request *received)
{
	struct shmsem_server *server = context;
	struct shmsem_answer answer = {.server = server};
	struct error err = {0};
	bool served;
	int status;

	pthread_mutex_lock(&server->lock);
	served = serve_kept(server, received);
	pthread_mutex_unlock(&server->lock);
	if (served)
		return;
	status = make_image(received, &answer, &err);
	pthread_mutex_lock(&server->lock);
	if (status && answer.placed)
		responder_forget(server, answer.placed);
	else if (answer.placed)
		responder_leave(server, answer.placed);
	if (status)
		refuse(server, received, &err);
	else
		answer_image(received, &answer, false);
	pthread_mutex_unlock(&server->lock);
}

/* ---- names ---- */

int shmsem_add_name(struct shmsem_answer *answer, const char *name, struct shmsem_error *error)
{
	char *copy;

	if (!answer->listing || !name || !name[0] || strlen(name) > WIRE_NAME_MAX)
		return shmsem_fail(error, SHMSEM_USAGE,
			"a name has 1 to %d bytes, and belongs into the callback 'names'",
			WIRE_NAME_MAX);
	if (answer->names_count == answer->names_room) {
		size_t room = answer->names_room ? 2 * answer->names_room : 64;
		char **grown = realloc(answer->names, room * sizeof *grown);

		if (!grown)
			return shmsem_fail(error, SHMSEM_TRY_AGAIN, "no memory for another name");
		answer->names = grown;
		answer->names_room = room;
	}
	copy = strdup(name);
	if (!copy)
		return shmsem_fail(error, SHMSEM_TRY_AGAIN, "no memory for another name");
	answer->names[answer->names_count++] = copy;
	return shmsem_fail(error, SHMSEM_OK, "%s", "");
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Puts the names in order into one block, each once. */
static bool join_names(const struct shmsem_answer *answer, char **ret, size_t *ret_size)
{
	size_t size = 0;
	char *all;

	qsort(answer->names, answer->names_count, sizeof *answer->names, compare_names);
	for (size_t i = 0; i < answer->names_count; i++)
		size += strlen(answer->names[i]) + 1;
	all = malloc(size + 1);
	if (!all)
		return false;
	size = 0;
	for (size_t i = 0; i < answer->names_count; i++) {
		if (i && !strcmp(answer->names[i], answer->names[i - 1]))
			continue;
		strcpy(all + size, answer->names[i]);
		size += strlen(answer->names[i]) + 1;
	}
	*ret = all;
	*ret_size = size;
	return true;
}

static int list_names(struct shmsem_server *server, struct error *err)
{
	struct shmsem_answer answer = {.server = server, .listing = true};
	struct shmsem_error error = {0};
	int status = STATUS_OK;

	free(server->names);
	server->names = NULL;
	server->names_size = 0;
	if (server->options.names)
		status = server->options.names(server->options.data, &answer, &error);
	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; !status && i < server->options.kept; i++)
		for (struct kept *kept = server->kept[i]; kept && !status; kept = kept->next)
			status = shmsem_add_name(&answer, kept->name, &error);
	pthread_mutex_unlock(&server->lock);
	if (status)
		status = error_import(err, &error, status);
	else if (answer.names_count && !join_names(&answer, &server->names, &server->names_size))
		status = error_os(err, ENOMEM, "no memory for the names");
	for (size_t i = 0; i < answer.names_count; i++)
		free(answer.names[i]);
	free(answer.names);
	return status;
}

/* A listing begins with the empty name, and is then handed out as it was at that moment. */
void responder_serve_names(void *context, struct seat_request *received)
{
	struct shmsem_server *server = context;
	char text[WIRE_TEXT_SIZE];
	struct error err = {0};
	int status = STATUS_OK;

	if (!received->name[0] || !server->names)
		status = list_names(server, &err);
	if (status)
		refuse(server, received, &err);
	else
		serving_answer_text(&server->serving, received, text,
			request_names(server->names, server->names_size, received->name, text));
}
