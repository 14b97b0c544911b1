#include "server/names_loop.h"

#include "server/answer.h"
#include "server/listing.h"

#include <stdlib.h>

static void answer_page(struct server *server, const struct request *request)
{
	const struct names_work *names = &server->names;
	char text[WIRE_TEXT_SIZE];

	answer_plainly(server, request, text,
		request_names(names->text, names->size, request->asked.name, text));
}

void names_ask(struct server *server, struct request *request)
{
	struct names_work *names = &server->names;

	store_lock(&server->store);
	if (request->asked.name[0] && names->text) {
		answer_page(server, request);
	} else if (request_take(&server->objects.head, &request->asked)) {
		request->next = names->waiting;
		names->waiting = request;
		atomic_store(&request->state, REQUEST_WAITS_NAMES);
		pthread_cond_signal(&names->asked);
	}
	store_unlock(&server->store);
}

static void answer_current(struct server *server, const struct error *failure)
{
	struct names_work *names = &server->names;
	struct request *request = names->current, *next;

	names->current = NULL;
	for (; request; request = next) {
		next = request->next;
		if (failure->status)
			answer_error(server, request, failure);
		else
			answer_page(server, request);
		atomic_store(&request->state, REQUEST_NONE);
	}
}

void names_serve(struct server *server)
{
	struct names_work *names = &server->names;
	struct error err = {0};
	char *text = NULL;
	size_t size = 0;

	names->current = names->waiting;
	names->waiting = NULL;
	store_unlock(&server->store);
	listing_read(server->folder, &text, &size, &err);
	store_lock(&server->store);
	free(names->text);
	names->text = text;
	names->size = size;
	answer_current(server, &err);
}

static void *names_main(void *context)
{
	struct server *server = context;
	struct names_work *names = &server->names;

	store_lock(&server->store);
	while (!names->ending)
		if (names->waiting)
			names_serve(server);
		else
			pthread_cond_wait(&names->asked, &server->store.lock);
	store_unlock(&server->store);
	return NULL;
}

int names_start(struct server *server)
{
	struct names_work *names = &server->names;
	int failed;

	pthread_cond_init(&names->asked, NULL);
	failed = pthread_create(&names->thread, NULL, names_main, server);
	names->started = !failed;
	return failed;
}

void names_stop(struct server *server)
{
	struct names_work *names = &server->names;

	if (!names->started)
		return;
	store_lock(&server->store);
	names->ending = true;
	pthread_cond_signal(&names->asked);
	store_unlock(&server->store);
	pthread_join(names->thread, NULL);
	pthread_cond_destroy(&names->asked);
	free(names->text);
}
