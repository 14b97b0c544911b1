/* libshmsem: images that are to be decoded before somebody asks for them. */
#include "base/text.h"
#include "client/client.h"
#include "client/error.h"
#include "client/options.h"

#include <stdio.h>
#include <string.h>

/* The image that an answer says has failed, which is the other side's word. */
static int read_failure(const struct reply *reply, struct shmsem_prefetched *ret, struct error *err)
{
	size_t size = reply->answer.text_length, name = strnlen(reply->text, WIRE_TEXT_SIZE);
	const char *message = reply->text + name + 1;

	if (size > WIRE_TEXT_SIZE || name >= size || name >= sizeof ret->name ||
		!error_status_valid(reply->answer.flags))
		return error_set(
			err, STATUS_BAD_DATA, "the server's answer of what failed is damaged");
	ret->status = (int)reply->answer.flags;
	memcpy(ret->name, reply->text, name + 1);
	/* It is terminated, as all of the text is, and what the server escaped is plain. */
	if (text_is_plain(message, strlen(message)))
		snprintf(ret->message, sizeof ret->message, "%s", message);
	else
		text_escape(message, strlen(message), ret->message, sizeof ret->message);
	return STATUS_OK;
}

static int read_reply(const struct reply *reply, struct shmsem_prefetched *ret, struct error *err)
{
	const uint64_t *words = reply->words;
	struct shmsem_prefetched prefetched = {.listed = words[WIRE_PREFETCH_LISTED],
		.decoded = words[WIRE_PREFETCH_DECODED],
		.failed = words[WIRE_PREFETCH_FAILED],
		.unused = words[WIRE_PREFETCH_UNUSED],
		.full = reply->answer.full};
	int status = reply->answer.flags ? read_failure(reply, &prefetched, err) : STATUS_OK;

	if (!status && ret)
		*ret = prefetched;
	return status;
}

/* Asks once more at the successor of a server that is gone only if that had no list of ours. */
static int call(struct shmsem *client, const struct wire_request *request, const char *name,
	struct timeout *timeout, struct shmsem_prefetched *ret, struct error *err)
{
	struct reply reply;
	bool listed;
	int status = client_attach(client, 0, timeout, err);

	if (status)
		return status;
	listed = client->connection->prefetches;
	status = client_call_once(client, request, name, timeout, &reply, err);
	if (status == STATUS_UNAVAILABLE && listed)
		return error_set(err, STATUS_UNAVAILABLE,
			"the server has ended, and what it was to prefetch is forgotten");
	if (status == STATUS_UNAVAILABLE && client_reattach(client, timeout, err))
		status = client_call_once(client, request, name, timeout, &reply, err);
	if (status)
		return status;
	client->connection->prefetches = true;
	return read_reply(&reply, ret, err);
}

int shmsem_prefetch(struct shmsem *client, const struct shmsem_request *given,
	struct shmsem_prefetched *ret, struct shmsem_error *error)
{
	const struct wire_request request = {
		.operation = WIRE_PREFETCH, .options = options_of(given)};
	struct timeout timeout = client_timeout(client, given->timeout_ns);
	struct error err;
	int status = options_check(given, &err);

	if (!status)
		status = call(client, &request, given->name, &timeout, ret, &err);
	return error_export(error, &err, status);
}

int shmsem_prefetch_wait(struct shmsem *client, uint64_t timeout_ns, struct shmsem_prefetched *ret,
	struct shmsem_error *error)
{
	const struct wire_request request = {
		.operation = WIRE_PREFETCH, .known = ret->decoded + ret->failed};
	struct timeout timeout = client_timeout(client, timeout_ns);
	struct error err;

	return error_export(error, &err, call(client, &request, "", &timeout, ret, &err));
}
