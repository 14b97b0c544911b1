/*
 * libshmsem: images, found or asked for, held and given back. Of what is found in the index nearly
 * all is inlined here: it costs less than a system call.
 */
#include "base/process.h"
#include "client/answer.h"
#include "client/client.h"
#include "client/error.h"
#include "client/holds.h"
#include "client/lookup.h"
#include "client/options.h"

#include <errno.h>
#include <string.h>

_Static_assert(SHMSEM_HELD_MAX == WIRE_HOLDS, "the public limit is the layout's");

/* A hold that is taken, and a reference to its connection. */
struct held {
	struct connection *connection;
	uint32_t hold, use;
};

/* Attached, too. */
static int take_hold(
	struct shmsem *client, struct timeout *timeout, struct held *ret, struct error *err)
{
	int status = client_attach(client, 0, timeout, err);

	if (status)
		return status;
	if (!hold_take(client->connection, &ret->hold, &ret->use)) {
		/* What is held keeps this connection, and its seat, until it is released. */
		client_detach(client, false);
		status = client_attach(client, 0, timeout, err);
		if (status)
			return status;
		hold_take(client->connection, &ret->hold, &ret->use);
	}
	ret->connection = connection_ref(client->connection);
	return STATUS_OK;
}

/* Gives a hold, and its reference, back; one that was given back before is left alone. */
__attribute__((noinline)) static void release_any(
	struct connection *connection, unsigned hold, uint32_t use)
{
	_Atomic uint64_t *word = NULL;

	/* Only then is the connection there for sure. */
	if (!hold_possible(hold, use) || !hold_begin_release(&connection->holds[hold], use))
		return;
	/* In a child of fork() there is no HEAD. */
	if (connection->owner == process_id())
		word = connection_hold_word(connection, hold);
	hold_finish_release(connection, hold, use, word);
	connection_unref(connection);
}

/* The same, without a call that is not the last thing to do: no registers are saved for it. */
static inline void release(struct connection *connection, unsigned hold, uint32_t use)
{
	if (connection->owner != process_id_known() || hold >= connection->page_holds)
		release_any(connection, hold, use);
	else if (hold_give_back(connection, hold, use, &connection->hold_page->words[hold]))
		connection_unref(connection);
}

/* After a failed fetch. */
static void drop_hold(struct shmsem *client, const struct held *held, int status)
{
	struct connection *connection = held->connection;

	/* It ended between its answer and our opening of the segment; or we have known of a HEAD
	 * that was overwritten; or it takes us to hold everything. */
	if ((status == STATUS_UNAVAILABLE || !head_as_opened(&connection->head) ||
		    !head_holds_whole(&connection->head, connection->seat)) &&
		client->connection == connection)
		client_detach(client, status == STATUS_UNAVAILABLE);
	release_any(connection, held->hold, held->use);
}

__attribute__((always_inline)) static inline int find_data(const struct held *held,
	uint32_t segment, uint64_t offset, uint64_t length, const struct data **ret,
	struct error *err)
{
	const struct data *opened;
	int status;

	*ret = connection_data_known(held->connection, segment, offset, length);
	if (*ret)
		return STATUS_OK;
	status = connection_data(held->connection, segment, offset, length, &opened, err);
	if (!status)
		*ret = opened;
	return status;
}

/* Checks an answer, maps its image, and only then hands it over. */
__attribute__((always_inline)) static inline int hand_over(const struct held *held,
	const struct wire_answer *answer, const uint64_t words[4], const char *text,
	struct shmsem_image *ret, struct error *err)
{
	const struct data *data;
	int status = answer_check(answer, words, err);

	if (!status)
		status = find_data(held, answer->segment, answer->offset, words[0], &data, err);
	if (!status && answer->icc_bytes)
		status = find_data(
			held, answer->segment, answer->icc_offset, answer->icc_bytes, &data, err);
	if (status)
		return status;
	connection_mapped(held->connection, held->hold, data, answer->truncations);
	answer_info(&ret->info, answer, words, text);
	ret->pixels = data->segment.base + answer->offset;
	ret->icc = answer->icc_bytes ? data->segment.base + answer->icc_offset : NULL;
	ret->connection = held->connection;
	ret->hold = held->hold;
	ret->use = held->use;
	return STATUS_OK;
}

/* Finds it without the server; false if that must be asked, for an index that is damaged, too. */
__attribute__((always_inline)) static inline bool find(
	struct shmsem *client, const char *name, struct held held, struct shmsem_image *ret)
{
	struct index_answer found;

	return !atomic_load_explicit(&client->waiting.cancelled, memory_order_relaxed) &&
	       lookup(held.connection, held.hold, name, &found) &&
	       !hand_over(&held, &found.answer, found.words, "", ret, NULL);
}

static int ask_once(struct shmsem *client, const struct shmsem_request *given,
	struct timeout *timeout, const struct held *held, struct shmsem_image *ret,
	struct error *err)
{
	const struct wire_request request = {
		.operation = WIRE_GET, .hold = held->hold, .options = options_of(given)};
	struct reply reply;
	int status;

	/* Where the server may have stored what was asked for before and given up. */
	atomic_store_explicit(connection_hold_word(held->connection, held->hold), 0,
		memory_order_relaxed); /* the request comes after it */
	status = client_call_once(client, &request, given->name, timeout, &reply, err);
	if (!status)
		status = hand_over(held, &reply.answer, reply.words, reply.text, ret, err);
	if (status)
		drop_hold(client, held, status);
	return status;
}

/* Twice, if the server was found gone: to ask again for the same does no harm. The time runs from now
 * on unless it does already. */
__attribute__((cold)) static int ask(struct shmsem *client, const struct shmsem_request *given,
	struct timeout *timeout, struct held held, struct shmsem_image *ret,
	struct shmsem_error *error)
{
	struct error err;
	int status;

	if (!timeout->timeout_ns)
		*timeout = client_timeout(client, given->timeout_ns);
	status = ask_once(client, given, timeout, &held, ret, &err);

	if (status == STATUS_UNAVAILABLE && client_reattach(client, timeout, &err)) {
		status = take_hold(client, timeout, &held, &err);
		if (!status)
			status = ask_once(client, given, timeout, &held, ret, &err);
	}
	return error_export(error, &err, status);
}

/* Attaches the client, takes a hold, and checks what is asked for and prepares look-ups with it. */
__attribute__((cold)) static int begin(struct shmsem *client, const struct shmsem_request *given,
	struct timeout *timeout, struct held *ret, struct shmsem_error *error)
{
	struct error err;
	int status = take_hold(client, timeout, ret, &err);

	if (status)
		return error_export(error, &err, status);
	status = options_check(given, &err);
	if (status)
		drop_hold(client, ret, status);
	else
		lookup_prepare(ret->connection, given);
	return error_export(error, &err, status);
}

/* What `begin` does, where that is nearly nothing; false if not. */
__attribute__((always_inline)) static inline bool begin_again(
	struct shmsem *client, const struct shmsem_request *given, struct held *ret)
{
	struct connection *connection = client->connection;

	if (!client_attached(client) || !given->name || !given->name[0] ||
		!lookup_prepared(connection, given) ||
		!hold_take_last(connection, &ret->hold, &ret->use))
		return false;
	ret->connection = connection_ref(connection);
	return true;
}

int shmsem_fetch(struct shmsem *client, const struct shmsem_request *request,
	struct shmsem_image *ret, struct shmsem_error *error)
{
	struct timeout timeout = {0};
	struct held held;

	if (!begin_again(client, request, &held)) {
		struct held begun; /* `held` has no address then, and stays in registers */
		int status;

		timeout = client_timeout(client, request->timeout_ns);
		status = begin(client, request, &timeout, &begun, error);
		if (status)
			return status;
		held = begun;
	}
	if (find(client, request->name, held, ret))
		return error_none(error);
	return ask(client, request, &timeout, held, ret, error);
}

int shmsem_fetch_many(struct shmsem *client, const struct shmsem_request *requests, size_t count,
	struct shmsem_image *images, int *statuses, struct shmsem_error *error)
{
	struct shmsem_error first, err;
	bool ended = false;

	error_none(&first);
	error_none(&err);
	for (size_t i = 0; i < count; i++) {
		images[i] = (struct shmsem_image){0};
		if (!ended)
			shmsem_fetch(client, &requests[i], &images[i], &err);
		ended |= err.status == SHMSEM_UNAVAILABLE || err.os_error == ECANCELED;
		if (err.status && !first.status)
			first = err;
		if (statuses)
			statuses[i] = err.status;
	}
	if (error)
		*error = first;
	return first.status;
}

void shmsem_release(struct shmsem_image *image)
{
	struct connection *connection = image ? image->connection : NULL;

	if (!connection)
		return;
	image->connection = NULL;
	image->pixels = image->icc = NULL;
	release(connection, image->hold, image->use);
}

int shmsem_check(const struct shmsem_image *image, struct shmsem_error *error)
{
	struct connection *connection = image->connection;
	struct error err = {0};
	int status = STATUS_OK;

	/* A child of fork() has no HEAD, which tells of what was truncated. */
	if (connection && connection->owner != process_id())
		status = error_set(&err, STATUS_USAGE,
			"this image was fetched before fork(); only the parent can check it");
	else if (connection && !hold_taken(connection, image->hold, image->use))
		status = error_set(&err, STATUS_USAGE, "the image was released");
	else if (connection)
		status = connection_check(connection, image->hold, image->info.segment,
			image->info.offset + image->info.bytes, &err);
	return error_export(error, &err, status);
}
