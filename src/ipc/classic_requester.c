#include "ipc/classic_objects.h"

#include "base/io.h"
#include "base/text.h"
#include "ipc/guard.h"
#include "ipc/lock.h"
#include "ipc/semaphore.h"
#include "ipc/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Counts that a semaphore may have kept from earlier; a storm beyond it only costs time. */
#define STALE_MOST 1000000

/* In the words beside the length of the name, so that a stale count of RES is told from an answer.
 * No image has such sides. */
#define UNANSWERED UINT64_MAX

#define NAME_SHOWN 200

struct classic_requester {
	struct classic_requester_options options;
	struct classic_semaphore request, response;
	struct segment head, data;
	size_t owed; /* length of the name whose answer is still to come, though we gave up; or 0 */
	void *pixels;
	size_t pixels_size;
};

/* Opens a semaphore that is there, whoever made it, else makes it. */
static int get_semaphore(const struct classic_requester_options *options, enum object_kind kind,
	struct classic_semaphore *ret, struct error *err)
{
	char name[OBJECT_NAME_SIZE];
	int status;

	object_name(&options->space, kind, 0, name);
	/* The peer may make or unlink it between two of our calls, but not for ever. */
	for (int attempt = 0; attempt < 10; attempt++) {
		struct error failed = {0};
		dev_t device;
		ino_t inode;

		status = classic_semaphore_open(&options->space, kind, ret, err);
		if (status != STATUS_NOT_FOUND)
			return status;
		status = semaphore_create(name, &options->access, &device, &inode, &failed);
		if (status && failed.os_error != EEXIST)
			return error_set(err, status, "%s", failed.text);
	}
	return error_set(err, STATUS_TRY_AGAIN, "'%s' keeps being replaced", name);
}

/* Unlinks what an earlier requester left under the name, unless it lives and is one of ours. */
static int remove_stale(const struct name_space *space, enum object_kind kind, struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	char file[OBJECT_FILE_SIZE];
	int status, failed;
	bool held;

	status = classic_segment_open(space, kind, 0, &segment, err);
	if (status)
		return status == STATUS_NOT_FOUND ? STATUS_OK : status;
	object_file(space, kind, 0, file);
	held = lock_held(segment.fd, WIRE_SERVER_LOCK, 1) == 1;
	failed = held ? 0 : shm_unlink_same(file, segment.device, segment.inode);
	segment_release(&segment);
	if (held)
		return error_set(err, STATUS_TRY_AGAIN,
			"a server or another requester has the namespace '%s'; choose another",
			space->text);
	if (failed && failed != ENOENT)
		return error_os(err, failed, "cannot remove '%s'", file);
	return STATUS_OK;
}

static int create_segment(const struct classic_requester_options *options, enum object_kind kind,
	struct segment *ret, struct error *err)
{
	struct segment segment = SEGMENT_NONE;
	char name[OBJECT_NAME_SIZE];
	int status, failed = 0;

	status = segment_new(1, 0, &options->access, &segment, err);
	if (status)
		return status;
	/* As a server holds it: we live, nobody is to clean up after us. */
	if (kind == OBJECT_HEAD)
		failed = lock_take(segment.fd, WIRE_SERVER_LOCK);
	if (failed)
		status = error_os(err, failed, "cannot lock a segment");
	else
		status = segment_publish(
			&segment, object_name(&options->space, kind, 0, name), err);
	if (status)
		segment_release(&segment);
	else
		*ret = segment;
	return status;
}

/*
 * HEAD first: whoever has its lock has the namespace. DATA last: a responder that waits for both
 * segments must not find stale counts.
 */
static int create_objects(struct classic_requester *requester, struct error *err)
{
	const struct classic_requester_options *options = &requester->options;
	int status = guard_install(err);

	if (!status)
		status = remove_stale(&options->space, OBJECT_HEAD, err);
	if (!status)
		status = remove_stale(&options->space, OBJECT_DATA, err);
	if (!status)
		status = create_segment(options, OBJECT_HEAD, &requester->head, err);
	if (!status)
		status = get_semaphore(options, OBJECT_REQUEST, &requester->request, err);
	if (!status)
		status = get_semaphore(options, OBJECT_RESPONSE, &requester->response, err);
	if (status)
		return status;
	semaphore_drain(requester->request.handle, STALE_MOST);
	semaphore_drain(requester->response.handle, STALE_MOST);
	return create_segment(options, OBJECT_DATA, &requester->data, err);
}

int classic_requester_new(const struct classic_requester_options *options,
	struct classic_requester **ret, struct error *err)
{
	struct classic_requester *requester = malloc(sizeof *requester);
	int status;

	if (!requester)
		return error_os(err, ENOMEM, "cannot make a requester");
	*requester = (struct classic_requester){
		.options = *options,
		.request = CLASSIC_SEMAPHORE_NONE,
		.response = CLASSIC_SEMAPHORE_NONE,
		.head = SEGMENT_NONE,
		.data = SEGMENT_NONE,
	};
	status = create_objects(requester, err);
	if (status) {
		classic_requester_free(requester);
		return status;
	}
	*ret = requester;
	return STATUS_OK;
}

static void unlink_object(
	const struct name_space *space, enum object_kind kind, dev_t device, ino_t inode)
{
	char file[OBJECT_FILE_SIZE];

	/* Inode 0 means nothing: what was never made is left alone. */
	shm_unlink_same(object_file(space, kind, 0, file), device, inode);
}

struct classic_requester *classic_requester_free(struct classic_requester *requester)
{
	const struct name_space *space;

	if (!requester)
		return NULL;
	space = &requester->options.space;
	unlink_object(space, OBJECT_REQUEST, requester->request.device, requester->request.inode);
	unlink_object(
		space, OBJECT_RESPONSE, requester->response.device, requester->response.inode);
	unlink_object(space, OBJECT_DATA, requester->data.device, requester->data.inode);
	unlink_object(space, OBJECT_HEAD, requester->head.device, requester->head.inode);
	classic_semaphore_close(&requester->request);
	classic_semaphore_close(&requester->response);
	segment_release(&requester->data);
	segment_release(&requester->head);
	free(requester->pixels);
	free(requester);
	return NULL;
}

static int check_current(const struct classic_requester *requester, struct error *err)
{
	const struct name_space *space = &requester->options.space;

	if (classic_segment_current(space, OBJECT_HEAD, &requester->head) &&
		classic_segment_current(space, OBJECT_DATA, &requester->data) &&
		classic_semaphore_current(space, OBJECT_REQUEST, &requester->request) &&
		classic_semaphore_current(space, OBJECT_RESPONSE, &requester->response))
		return STATUS_OK;
	return error_set(err, STATUS_UNAVAILABLE,
		"somebody removed or replaced the objects of the namespace '%s'", space->text);
}

/* Whether to go on waiting. */
static int check_patience(
	const struct classic_requester *requester, uint64_t deadline, struct error *err)
{
	const atomic_bool *stop = requester->options.stop;

	if (stop && atomic_load(stop))
		return error_set(err, STATUS_TRY_AGAIN, "stopped while waiting");
	if (clock_now() >= deadline)
		return error_set(err, STATUS_TRY_AGAIN, "no responder answered in time");
	return check_current(requester, err);
}

/* Reads what stands in HEAD; what is cut off is zero. */
static int read_words(
	struct classic_requester *requester, struct classic_geometry *ret, struct error *err)
{
	memset(ret, 0, sizeof *ret);
	if (pread_full(requester->head.fd, ret, sizeof *ret, 0) < 0)
		return error_os(err, errno, "cannot read an answer");
	return STATUS_OK;
}

static int write_request(
	struct classic_requester *requester, const char *name, size_t length, struct error *err)
{
	const struct classic_geometry words = {length, UNANSWERED, UNANSWERED, UNANSWERED};
	int status;

	status = classic_reserve(&requester->head, sizeof words, err);
	if (!status)
		status = classic_reserve(&requester->data, length, err);
	if (status)
		return status;
	if (pwrite_full(requester->data.fd, name, length, 0) != 0 ||
		pwrite_full(requester->head.fd, &words, sizeof words, 0) != 0)
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
		bool woken = semaphore_wait(requester->response.handle, classic_turn_end(deadline));

		status = woken ? read_words(requester, ret, err) : STATUS_OK;
		if (status || (woken && !is_unanswered(ret, length)))
			return status;
		status = check_patience(requester, deadline, err);
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
	semaphore_drain(requester->response.handle, STALE_MOST);
	semaphore_post(requester->request.handle);
	status = await_answer(requester, length, deadline, ret, err);
	if (status && !semaphore_try(requester->request.handle))
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
	if (pread_full(requester->data.fd, requester->pixels, bytes, 0) != (ssize_t)bytes)
		return error_set(
			err, STATUS_BAD_DATA, "the pixels were cut off while they were read");
	return STATUS_OK;
}

static int check_answer(struct classic_requester *requester, const struct classic_geometry *words,
	struct error *err)
{
	uint64_t most = requester->options.most_bytes;
	int status = segment_refresh(&requester->data, err);

	if (status)
		return status;
	return classic_check(words, requester->data.size < most ? requester->data.size : most, err);
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
		return error_prefix(err, "the responder still works on an earlier request");
	requester->owed = 0;
	return STATUS_OK;
}

static int fetch(struct classic_requester *requester, const char *name, const char *shown,
	uint64_t deadline, struct classic_image *ret, struct error *err)
{
	static const struct classic_geometry none;
	struct classic_geometry words;
	int status = check_current(requester, err);

	if (!status)
		status = settle(requester, deadline, err);
	if (!status)
		status = exchange(requester, name, strlen(name), deadline, &words, err);
	if (!status && !memcmp(&words, &none, sizeof words))
		return error_set(
			err, STATUS_NOT_FOUND, "the responder could not serve '%s'", shown);
	if (!status)
		status = check_answer(requester, &words, err);
	if (!status)
		status = read_pixels(requester, words.bytes, err);
	if (!status)
		*ret = (struct classic_image){words, requester->pixels};
	return status;
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
	if (status && status != STATUS_NOT_FOUND)
		error_prefix(err, "cannot fetch '%s'", shown);
	return status;
}
