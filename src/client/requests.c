/* libshmsem: what a client asks its server beside images. */
#include "client/answer.h"
#include "client/client.h"
#include "client/error.h"
#include "client/options.h"

#include <string.h>

int shmsem_ping(struct shmsem *client, struct shmsem_error *error)
{
	const struct wire_request request = {.operation = WIRE_PING};
	struct timeout timeout = client_timeout(client, 0);
	struct reply reply;
	struct error err;

	return error_export(error, &err, client_call(client, &request, "", &timeout, &reply, &err));
}

static int get_info(struct shmsem *client, const struct shmsem_request *given,
	struct shmsem_info *ret, struct error *err)
{
	const struct wire_request request = {.operation = WIRE_INFO, .options = options_of(given)};
	struct timeout timeout = client_timeout(client, given->timeout_ns);
	struct reply reply;
	int status = options_check(given, err);

	if (!status)
		status = client_call(client, &request, given->name, &timeout, &reply, err);
	if (!status)
		status = answer_check(&reply.answer, reply.words, err);
	if (!status)
		answer_info(ret, &reply.answer, reply.words, reply.text);
	return status;
}

int shmsem_info(struct shmsem *client, const struct shmsem_request *given, struct shmsem_info *ret,
	struct shmsem_error *error)
{
	struct error err;

	return error_export(error, &err, get_info(client, given, ret, &err));
}

int shmsem_check_request(const struct shmsem_request *request, struct shmsem_error *error)
{
	struct error err;

	return error_export(error, &err, options_check(request, &err));
}

/* Hands a page of NUL-ended names on, and leaves the last one in `last`. */
static int names_page(const struct reply *reply, char *last,
	int (*each)(void *data, const char *name), void *data, bool *ret_stop, struct error *err)
{
	const char *behind = reply->text + reply->answer.text_length;

	if (reply->answer.text_length > WIRE_TEXT_SIZE)
		return error_set(err, STATUS_BAD_DATA, "the server's list of names is damaged");
	for (const char *at = reply->text, *end; at < behind; at = end + 1) {
		end = memchr(at, '\0', (size_t)(behind - at));
		if (!end || end == at || end - at > WIRE_NAME_MAX || strcmp(at, last) <= 0)
			return error_set(
				err, STATUS_BAD_DATA, "the server's list of names is damaged");
		strcpy(last, at);
		if (each(data, at)) {
			*ret_stop = true;
			break;
		}
	}
	return STATUS_OK;
}

int shmsem_names(struct shmsem *client, int (*each)(void *data, const char *name), void *data,
	struct shmsem_error *error)
{
	const struct wire_request request = {.operation = WIRE_NAMES};
	char last[WIRE_NAME_MAX + 1] = "";
	struct error err = {0};
	struct reply reply;
	bool stop = false;
	int status;

	do {
		struct timeout timeout = client_timeout(client, 0);

		status = client_call(client, &request, last, &timeout, &reply, &err);
		if (!status)
			status = names_page(&reply, last, each, data, &stop, &err);
	} while (!status && !stop && reply.answer.text_length);
	return error_export(error, &err, status);
}
