#include "server/notice.h"

#include <stdlib.h>
#include <string.h>

#define NOTICES_MAX 1000

struct notice {
	struct notice *next;
	char text[];
};

void notice_add(struct server *server, const char *text)
{
	struct notices *notices = &server->notices;
	struct notice *notice = notices->count < NOTICES_MAX
					? malloc(sizeof *notice + strlen(text) + 1)
					: NULL;

	if (!notice)
		return;
	notice->next = NULL;
	strcpy(notice->text, text);
	*(notices->last ? &notices->last->next : &notices->first) = notice;
	notices->last = notice;
	notices->count++;
}

static struct notice *take(struct notices *notices)
{
	struct notice *notice = notices->first;

	if (!notice)
		return NULL;
	notices->first = notice->next;
	if (!notices->first)
		notices->last = NULL;
	notices->count--;
	return notice;
}

bool server_take_notice(struct server *server, struct error *ret)
{
	struct notice *notice;

	store_lock(&server->store);
	notice = take(&server->notices);
	store_unlock(&server->store);
	if (!notice)
		return false;
	error_set(ret, STATUS_PARTLY, "%s", notice->text);
	free(notice);
	return true;
}

void notices_free(struct server *server)
{
	struct notice *notice;

	while ((notice = take(&server->notices)))
		free(notice);
}
