/* libshmsem: what a client asks its server, and what it believes of the answers. */
#include "base/process.h"
#include "client/client.h"
#include "client/error.h"
#include "client/lookup.h"
#include "client/options.h"
#include "exchange/image_answer.h"

#include <errno.h>
#include <string.h>

_Static_assert(SHMSEM_HELD_MAX == WIRE_HOLDS, "the public limit is the layout's");

static struct timeout call_timeout(const struct shmsem *client, uint64_t timeout_ns)
{
	return (struct timeout){.timeout_ns = timeout_ns ? timeout_ns : client->timeout_ns};
}

int shmsem_ping(struct shmsem *client, struct shmsem_error *error)
{
	const struct wire_request request = {.operation = WIRE_PING};
	struct timeout timeout = call_timeout(client, 0);
	char text[WIRE_TEXT_SIZE + 1];
	struct wire_answer answer;
	struct error err;
	uint64_t words[4];

	return error_export(error, &err,
		client_call(client, &request, "", &timeout, &answer, words, text, &err));
}

static int make_request(const struct shmsem_request *given, enum wire_operation operation,
	uint32_t hold, struct wire_request *ret, struct error *err)
{
	static const char none[sizeof given->reserved];

	if (!given->name || !given->name[0])
		return error_set(err, STATUS_USAGE, "the name is empty");
	if (given->scale > 8 || (given->scale & (given->scale - 1)))
		return error_set(err, STATUS_USAGE, "the scale is %u; 1, 2, 4 and 8 are possible",
			given->scale);
	if (given->channels == 2 || given->channels > 4)
		return error_set(err, STATUS_USAGE,
			"%u channels were asked for; 0, 1, 3 and 4 are possible", given->channels);
	if (given->layout > WIRE_LAYOUT_MAX)
		return error_set(err, STATUS_USAGE, "there is no layout %u", given->layout);
	if (memcmp(given->reserved_bytes, none, sizeof given->reserved_bytes) != 0 ||
		memcmp(given->reserved, none, sizeof given->reserved) != 0)
		return error_set(err, STATUS_USAGE,
			"the request has fields that this library does not know");
	*ret = (struct wire_request){
		.operation = operation,
		.hold = hold,
		.options = options_of(given),
	};
	return STATUS_OK;
}

/* Believes an answer only as far as it fits: bytes = height x width x channels x bits / 8. */
static int check_info(const struct wire_answer *answer, const uint64_t words[4], const char *text,
	struct shmsem_info *ret, struct error *err)
{
	uint64_t bytes;
	uint32_t stride;

	if (!image_answer_geometry(words[1], words[2], words[3], answer->bits, &stride, &bytes) ||
		bytes != words[0] || answer->stride != stride)
		return error_set(err, STATUS_BAD_DATA,
			"the server's answer does not fit together: %llu bytes for %llu×%llu×%llu",
			(unsigned long long)words[0], (unsigned long long)words[1],
			(unsigned long long)words[2], (unsigned long long)words[3]);
	/* Not all of it: most of the space is for a warning that few images have. */
	ret->bytes = bytes;
	ret->width = (uint32_t)words[1];
	ret->height = (uint32_t)words[2];
	ret->stride = stride;
	ret->channels = (uint8_t)words[3];
	IMAGE_ANSWER_COPY(ret, answer);
	ret->from_store = !!(answer->flags & WIRE_FROM_STORE);
	ret->holders = answer->holders;
	ret->segment = answer->segment;
	ret->offset = answer->offset;
	ret->age_ns = answer->age;
	ret->file_bytes = answer->file_bytes;
	ret->animated = !!(answer->flags & WIRE_ANIMATED);
	ret->cmyk = !!(answer->flags & WIRE_CMYK);
	ret->reserved = 0;
	ret->warning[0] = '\0';
	if (answer->flags & WIRE_WARNING) {
		size_t length = strnlen(text, sizeof ret->warning - 1);

		memcpy(ret->warning, text, length);
		ret->warning[length] = '\0';
	}
	return STATUS_OK;
}

static int map_image(
	const struct wire_answer *answer, struct shmsem_image *image, struct error *err)
{
	struct connection *connection = image->connection;
	const uint8_t *pixels, *icc = NULL;
	int status = connection_data(
		connection, answer->segment, answer->offset, image->info.bytes, &pixels, err);

	if (!status && answer->icc_bytes)
		status = connection_data(connection, answer->segment, answer->icc_offset,
			answer->icc_bytes, &icc, err);
	if (status)
		return status;
	connection_mapped(connection, image->hold, answer->segment, answer->truncations);
	image->pixels = pixels;
	image->icc = icc;
	return STATUS_OK;
}

/* Reserves a hold for the image, attached; its connection gets a reference. */
static int reserve_hold(
	struct shmsem *client, struct timeout *timeout, struct shmsem_image *ret, struct error *err)
{
	int status = client_attach(client, 0, timeout, err), hold;

	if (status)
		return status;
	hold = connection_hold(client->connection, &ret->use);
	if (hold < 0) {
		/* What is held keeps this connection, and its seat, until it is released. */
		client_detach(client, false);
		status = client_attach(client, 0, timeout, err);
		if (status)
			return status;
		hold = connection_hold(client->connection, &ret->use);
	}
	ret->connection = connection_ref(client->connection);
	ret->hold = (uint32_t)hold;
	return STATUS_OK;
}

/* Finds it without the server; false if that must be asked, for an index that is damaged, too. */
static bool find(struct shmsem *client, const struct wire_request *request, const char *name,
	struct shmsem_image *image)
{
	struct index_answer found;

	return !atomic_load_explicit(&client->waiting.cancelled, memory_order_relaxed) &&
	       lookup(image->connection, image->hold, name, &request->options, &found) &&
	       !check_info(&found.answer, found.words, "", &image->info, NULL) &&
	       !map_image(&found.answer, image, NULL);
}

/* Finds it or asks over the image's connection, and checks and maps what comes. */
static int fetch_over(struct shmsem *client, const struct shmsem_request *given,
	struct timeout *timeout, struct shmsem_image *image, struct error *err)
{
	char text[WIRE_TEXT_SIZE + 1];
	struct wire_request request;
	struct wire_answer answer;
	uint64_t words[4];
	int status = make_request(given, WIRE_GET, image->hold, &request, err);

	if (status || find(client, &request, given->name, image))
		return status;
	status = client_call_once(
		client, &request, given->name, timeout, &answer, words, text, err);
	if (status)
		return status;
	status = check_info(&answer, words, text, &image->info, err);
	return status ? status : map_image(&answer, image, err);
}

static int get_info(struct shmsem *client, const struct shmsem_request *given,
	struct shmsem_info *ret, struct error *err)
{
	struct timeout timeout = call_timeout(client, given->timeout_ns);
	char text[WIRE_TEXT_SIZE + 1];
	struct wire_request request;
	struct wire_answer answer;
	uint64_t words[4];
	int status = make_request(given, WIRE_INFO, 0, &request, err);

	if (status)
		return status;
	status = client_call(client, &request, given->name, &timeout, &answer, words, text, err);
	return status ? status : check_info(&answer, words, text, ret, err);
}

static int fetch_once(struct shmsem *client, const struct shmsem_request *given,
	struct timeout *timeout, struct shmsem_image *ret, struct error *err)
{
	struct connection *connection;
	struct shmsem_image image;
	int status = reserve_hold(client, timeout, &image, err);

	if (status)
		return status;
	connection = image.connection;
	status = fetch_over(client, given, timeout, &image, err);
	if (status) {
		/* It ended between its answer and our opening of the segment; or we have known of a
		 * HEAD that was overwritten; or it takes us to hold everything. */
		if ((status == STATUS_UNAVAILABLE || !head_as_opened(&connection->head) ||
			    !head_holds_whole(&connection->head, connection->seat)) &&
			client->connection == connection)
			client_detach(client, status == STATUS_UNAVAILABLE);
		shmsem_release(&image);
		return status;
	}
	*ret = image;
	return STATUS_OK;
}

/* Twice, if the server was found gone: to ask again for the same does no harm. */
static int fetch(struct shmsem *client, const struct shmsem_request *given,
	struct shmsem_image *ret, struct error *err)
{
	struct timeout timeout = call_timeout(client, given->timeout_ns);
	int status = fetch_once(client, given, &timeout, ret, err);

	if (status != STATUS_UNAVAILABLE || !client_reattach(client, &timeout, err))
		return status;
	return fetch_once(client, given, &timeout, ret, err);
}

int shmsem_fetch(struct shmsem *client, const struct shmsem_request *request,
	struct shmsem_image *ret, struct shmsem_error *error)
{
	struct error err;

	return error_export(error, &err, fetch(client, request, ret, &err));
}

int shmsem_fetch_many(struct shmsem *client, const struct shmsem_request *requests, size_t count,
	struct shmsem_image *images, int *statuses, struct shmsem_error *error)
{
	struct error first = {0}, err = {0};
	bool ended = false;

	for (size_t i = 0; i < count; i++) {
		int status = err.status;

		images[i] = (struct shmsem_image){0};
		if (!ended) {
			status = fetch(client, &requests[i], &images[i], &err);
			err.status = status;
			ended = status == STATUS_UNAVAILABLE || err.os_error == ECANCELED;
		}
		if (status && !first.status)
			first = err;
		if (statuses)
			statuses[i] = status;
	}
	return error_export(error, &first, first.status);
}

void shmsem_release(struct shmsem_image *image)
{
	struct connection *connection = image ? image->connection : NULL;

	if (!connection)
		return;
	/* A copy of it may have been released before. */
	if (connection_unhold(connection, image->hold, image->use))
		connection_unref(connection);
	image->connection = NULL;
	image->pixels = image->icc = NULL;
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
	else if (connection && !connection_holds(connection, image->hold, image->use))
		status = error_set(&err, STATUS_USAGE, "the image was released");
	else if (connection)
		status = connection_check(connection, image->hold, image->info.segment,
			image->info.offset + image->info.bytes, &err);
	return error_export(error, &err, status);
}

int shmsem_info(struct shmsem *client, const struct shmsem_request *given, struct shmsem_info *ret,
	struct shmsem_error *error)
{
	struct error err;

	return error_export(error, &err, get_info(client, given, ret, &err));
}

/* Hands a page of NUL-ended names on, and leaves the last one in `last`. */
static int names_page(const char *text, size_t length, char *last,
	int (*each)(void *data, const char *name), void *data, bool *ret_stop, struct error *err)
{
	if (length > WIRE_TEXT_SIZE)
		return error_set(err, STATUS_BAD_DATA, "the server's list of names is damaged");
	for (const char *at = text, *end; at < text + length; at = end + 1) {
		end = memchr(at, '\0', (size_t)(text + length - at));
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
	char text[WIRE_TEXT_SIZE + 1], last[WIRE_NAME_MAX + 1] = "";
	struct wire_answer answer = {.text_length = 1};
	struct error err = {0};
	bool stop = false;

	while (!stop && answer.text_length) {
		struct timeout timeout = call_timeout(client, 0);
		uint64_t words[4];
		int status = client_call(
			client, &request, last, &timeout, &answer, words, text, &err);

		if (!status)
			status = names_page(
				text, answer.text_length, last, each, data, &stop, &err);
		if (status)
			return error_export(error, &err, status);
	}
	return error_export(error, &err, STATUS_OK);
}
