#include "exchange/classic_objects.h"

#include "base/io.h"
#include "base/text.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* In the words beside the length of the name, so that a stale count of RES is told from an answer.
 * No image has such sides. */
#define UNANSWERED UINT64_MAX

#define NAME_SHOWN 200

struct classic_requester {
	struct classic_requester_options options;
	struct classic_objects objects;
	size_t owed; /* length of the name whose answer is still to come, though we gave up; or 0 */
	void *pixels;
	size_t pixels_size;
};

int classic_requester_new(const struct classic_requester_options *options,
	struct classic_requester **ret, struct error *err)
{
	struct classic_requester *requester;
	int status = guard_install(err);

	if (status)
		return status;
	requester = malloc(sizeof *requester);
	if (!requester)
		return error_os(err, ENOMEM, "cannot make a requester");
	*requester = (struct classic_requester){
		.options = *options,
		.objects = classic_objects_none(&options->space),
	};
	status = classic_create(&requester->objects, &options->access, err);
	if (status) {
		classic_requester_free(requester);
		return status;
	}
	*ret = requester;
	return STATUS_OK;
}

struct classic_requester *classic_requester_free(struct classic_requester *requester)
{
	if (!requester)
		return NULL;
	classic_unlink(&requester->objects);
	classic_close(&requester->objects);
	free(requester->pixels);
	free(requester);
	return NULL;
}

static int check_current(const struct classic_requester *requester, struct error *err)
{
	if (classic_segments_current(&requester->objects) &&
		classic_semaphores_current(&requester->objects))
		return STATUS_OK;
	return error_set(err, STATUS_UNAVAILABLE,
		"somebody removed or replaced the objects of the namespace '%s'",
		requester->options.space.text);
}

/* Whether to go on waiting. */
static int check_deadline(
	const struct classic_requester *requester, uint64_t deadline, struct error *err)
{
	const atomic_bool *stop = requester->options.stop;

	if (stop && atomic_load(stop))
		return error_set(err, STATUS_TRY_AGAIN, "stopped while waiting");
	if (clock_now() >= deadline)
		return error_set(err, STATUS_TRY_AGAIN, "no responder answered in time");
	return check_current(requester, err);
}

/* Reads what stands in HEAD; what is truncated is zero. */
static int read_words(
	struct classic_requester *requester, struct classic_geometry *ret, struct error *err)
{
	memset(ret, 0, sizeof *ret);
	if (pread_full(requester->objects.head.fd, ret, sizeof *ret, 0) < 0)
		return error_os(err, errno, "cannot read an answer");
	return STATUS_OK;
}

static int write_request(
	struct classic_requester *requester, const char *name, size_t length, struct error *err)
{
	const struct classic_geometry words = {length, UNANSWERED, UNANSWERED, UNANSWERED};
	int status;

	status = classic_reserve(&requester->objects.head, sizeof words, err);
	if (!status)
		status = classic_reserve(&requester->objects.data, length, err);
	if (status)
		return status;
	if (pwrite_full(requester->objects.data.fd, name, length, 0) != 0 ||
		pwrite_full(requester->objects.head.fd, &words, sizeof words, 0) != 0)
		return error_os(err, errno, "cannot write a request");
	return STATUS_OK;
}

/* A responder that has only looked at the request may have cut HEAD down to the length, and a later
 * one grown it again with zeros. */
static bool is_unanswered(const struct classic_geometry *words, size_t length)
{
	return words->bytes == length &&
	       ((words->width == UNANSWERED && words->height == UNANSWERED) ||
		       (!words->width && !words->height && !words->channels));
}

/* Waits for the answer to a request for a name of `length`. */
static int await_answer(struct classic_requester *requester, size_t length, uint64_t deadline,
	struct classic_geometry *ret, struct error *err)
{
	int status;

	for (;;) {
		bool woken = semaphore_wait(
			requester->objects.response.handle, classic_wait_end(deadline));

		status = woken ? read_words(requester, ret, err) : STATUS_OK;
		if (status || (woken && !is_unanswered(ret, length)))
			return status;
		status = check_deadline(requester, deadline, err);
		if (status)
			return status;
	}
}

/* Asks and waits. A request that nobody took is taken back. Otherwise its answer comes some day,
 * and must not be mistaken for that to another. */
static int exchange(struct classic_requester *requester, const char *name, size_t length,
	uint64_t deadline, struct classic_geometry *ret, struct error *err)
{
	int status = write_request(requester, name, length, err);

	if (status)
		return status;
	semaphore_drain(requester->objects.response.handle, CLASSIC_STALE_MAX);
	semaphore_post(requester->objects.request.handle);
	status = await_answer(requester, length, deadline, ret, err);
	if (status && !semaphore_try(requester->objects.request.handle))
		requester->owed = length;
	return status;
}

/* Copies the pixels to private memory. */
static int read_pixels(struct classic_requester *requester, uint64_t bytes, struct error *err)
{
	if (bytes > requester->pixels_size) {
		free(requester->pixels);
		requester->pixels = malloc(bytes);
		requester->pixels_size = requester->pixels ? bytes : 0;
		if (!requester->pixels)
			return error_os(
				err, ENOMEM, "cannot keep %ju bytes of pixels", (uintmax_t)bytes);
	}
	if (pread_full(requester->objects.data.fd, requester->pixels, bytes, 0) != (ssize_t)bytes)
		return error_set(
			err, STATUS_BAD_DATA, "the pixels were truncated while they were read");
	return STATUS_OK;
}

static int check_answer(struct classic_requester *requester, const struct classic_geometry *words,
	struct error *err)
{
	uint64_t most = requester->options.max_bytes;
	int status = segment_refresh(&requester->objects.data, err);

	if (status)
		return status;
	return classic_check(words,
		requester->objects.data.size < most ? requester->objects.data.size : most, err);
}

/* Lets the answer to an earlier request pass. */
static int settle(struct classic_requester *requester, uint64_t deadline, struct error *err)
{
	struct classic_geometry words;
	int status;

	if (!requester->owed)
		return STATUS_OK;
	status = await_answer(requester, requester->owed, deadline, &words, err);
	if (status)
		return error_prefix(err, status, "the responder still works on an earlier request");
	requester->owed = 0;
	return STATUS_OK;
}

static int fetch(struct classic_requester *requester, const char *name, const char *shown,
	uint64_t deadline, struct classic_image *ret, struct error *err)
{
	static const struct classic_geometry none;
	struct classic_geometry words;
	int status = check_current(requester, err);

	if (status)
		return status;
	status = settle(requester, deadline, err);
	if (status)
		return status;
	status = exchange(requester, name, strlen(name), deadline, &words, err);
	if (status)
		return status;
	if (!memcmp(&words, &none, sizeof words))
		return error_set(
			err, STATUS_NOT_FOUND, "the responder could not serve '%s'", shown);
	status = check_answer(requester, &words, err);
	if (status)
		return status;
	status = read_pixels(requester, words.bytes, err);
	if (status)
		return status;
	*ret = (struct classic_image){words, requester->pixels};
	return STATUS_OK;
}

int classic_requester_fetch(struct classic_requester *requester, const char *name,
	uint64_t deadline, struct classic_image *ret, struct error *err)
{
	size_t length = strlen(name);
	char shown[NAME_SHOWN];
	int status;

	text_escape(name, length, shown, sizeof shown);
	if (length < 1 || length > CLASSIC_NAME_MAX)
		return error_set(err, STATUS_USAGE,
			"the name '%s' has %zu bytes; 1 to %d are allowed", shown, length,
			CLASSIC_NAME_MAX);
	status = fetch(requester, name, shown, deadline, ret, err);
	if (!status || status == STATUS_NOT_FOUND)
		return status;
	return error_prefix(err, status, "cannot fetch '%s'", shown);
}
