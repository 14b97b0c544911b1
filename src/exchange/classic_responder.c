#include "exchange/classic_objects.h"

#include "base/io.h"
#include "base/number.h"
#include "exchange/head_report.h"
#include "exchange/life.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct classic_responder {
	struct classic_responder_options options;
	bool attached; /* all four objects are open */
	struct classic_objects objects;
	int data_guard;
	uint64_t generation; /* of `data` */
};

int classic_responder_new(const struct classic_responder_options *options,
	struct classic_responder **ret, struct error *err)
{
	struct classic_responder *responder;
	int status = guard_install(err);

	if (status)
		return status;
	responder = malloc(sizeof *responder);
	if (!responder)
		return error_os(err, ENOMEM, "cannot make a responder");
	*responder = (struct classic_responder){
		.options = *options,
		.objects = classic_objects_none(&options->space),
		.data_guard = -1,
	};
	*ret = responder;
	return STATUS_OK;
}

static void close_segments(struct classic_responder *responder)
{
	guard_remove(responder->data_guard);
	responder->data_guard = -1;
	segment_release(&responder->objects.data);
	segment_release(&responder->objects.head);
}

static void detach(struct classic_responder *responder)
{
	close_segments(responder);
	classic_close(&responder->objects);
	responder->attached = false;
}

struct classic_responder *classic_responder_free(struct classic_responder *responder)
{
	if (responder)
		detach(responder);
	free(responder);
	return NULL;
}

/* The objects of a server of ours are not for us to answer on, nor what a dead one left. */
static int check_classic(
	const struct segment *head, const struct name_space *space, struct error *err)
{
	struct head_report report;
	char file[OBJECT_FILE_SIZE];

	if (head_report_read(head->fd, &report) != 0)
		return error_os(err, errno, "cannot read the header of '%s'", space->text);
	if (!report.native)
		return STATUS_OK;
	if (object_served(object_file(space, OBJECT_HEAD, 0, file)) == 1)
		return error_set(err, STATUS_TRY_AGAIN,
			"a server has the namespace '%s'; choose another", space->text);
	return error_set(
		err, STATUS_NOT_FOUND, "a dead server left the namespace '%s'", space->text);
}

static int open_segments(struct classic_responder *responder, struct error *err)
{
	const struct name_space *space = &responder->options.space;
	struct classic_objects *objects = &responder->objects;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t reserve;
	int status;

	if (!size_add(responder->options.max_bytes, CLASSIC_NAME_MAX, &reserve) ||
		!size_align(reserve, page, &reserve))
		return error_set(err, STATUS_USAGE, "the limit of an image's bytes is too large");
	status = classic_segment_open(space, OBJECT_HEAD, page, &objects->head, err);
	if (status)
		return status;
	status = check_classic(&objects->head, space, err);
	if (status)
		return status;
	status = classic_segment_open(space, OBJECT_DATA, reserve, &objects->data, err);
	if (status)
		return status;
	responder->data_guard = guard_add(objects->data.base, objects->data.reserved);
	responder->generation++;
	return STATUS_OK;
}

/* STATUS_NOT_FOUND if the requester has not made all of them yet. */
static int attach(struct classic_responder *responder, struct error *err)
{
	const struct name_space *space = &responder->options.space;
	int status = classic_semaphore_open(
		space, OBJECT_REQUEST, &responder->objects.request, err);

	if (status)
		return status;
	status = classic_semaphore_open(space, OBJECT_RESPONSE, &responder->objects.response, err);
	if (status)
		return status;
	status = open_segments(responder, err);
	responder->attached = !status;
	return status;
}

int classic_responder_room(struct classic_responder *responder, uint64_t bytes,
	struct classic_room *ret, struct error *err)
{
	int status;

	if (bytes > responder->options.max_bytes)
		return error_set(err, STATUS_BAD_DATA,
			"an image of %ju bytes is over the limit of %ju", (uintmax_t)bytes,
			(uintmax_t)responder->options.max_bytes);
	status = classic_reserve(&responder->objects.data, bytes, err);
	if (status)
		return status;
	*ret = (struct classic_room){
		.pixels = responder->objects.data.base,
		.fd = responder->objects.data.fd,
		.generation = responder->generation,
	};
	return STATUS_OK;
}

/* Copies the name that is asked for to private memory, with a terminator. */
static int read_name(
	struct classic_responder *responder, char name[CLASSIC_NAME_MAX + 1], struct error *err)
{
	uint64_t length;

	if (pread_full(responder->objects.head.fd, &length, sizeof length, 0) != sizeof length)
		return error_set(
			err, STATUS_BAD_DATA, "the request is truncated before the name's length");
	if (length < 1 || length > CLASSIC_NAME_MAX)
		return error_set(err, STATUS_BAD_DATA,
			"the name asked for has %ju bytes; 1 to %d are allowed", (uintmax_t)length,
			CLASSIC_NAME_MAX);
	if (pread_full(responder->objects.data.fd, name, length, 0) != (ssize_t)length)
		return error_set(err, STATUS_BAD_DATA,
			"the request is truncated before the end of the name");
	if (memchr(name, '\0', length))
		return error_set(err, STATUS_BAD_DATA, "the name asked for has a NUL byte");
	name[length] = '\0';
	return STATUS_OK;
}

/* Gets the image into place; on an error *ret stays zero, and that is the answer. */
static int serve_request(
	struct classic_responder *responder, struct classic_geometry *ret, struct error *err)
{
	const struct classic_responder_options *options = &responder->options;
	struct classic_geometry geometry = {0};
	char name[CLASSIC_NAME_MAX + 1];
	int status = read_name(responder, name, err);

	if (status)
		return status;
	status = options->answer(options->context, responder, name, &geometry, err);
	if (status)
		return status;
	status = segment_refresh(&responder->objects.data, err);
	if (status)
		return status;
	status = classic_check(&geometry, responder->objects.data.size, err);
	if (status)
		return status;
	if (guard_hit(responder->data_guard))
		return error_set(err, STATUS_BAD_DATA,
			"the data segment was truncated while '%s' was put there", name);
	*ret = geometry;
	return STATUS_OK;
}

/* Answers the request that has come. A requester that went away meanwhile gets none. */
static int answer_request(
	struct classic_responder *responder, enum classic_outcome *ret, struct error *err)
{
	struct classic_geometry words = {0};
	int status, refused;

	if (guard_hit(responder->data_guard) || !classic_segments_current(&responder->objects)) {
		close_segments(responder);
		status = open_segments(responder, err);
		if (status)
			return status;
	}
	status = segment_refresh(&responder->objects.head, err);
	if (status)
		return status;
	/* Nothing has been written since a requester made it: the count is one that an earlier
	 * requester left, and an answer would put this one out of step. */
	if (responder->objects.head.size < sizeof words.bytes) {
		*ret = CLASSIC_IDLE;
		return STATUS_OK;
	}
	refused = serve_request(responder, &words, err);
	status = classic_reserve(&responder->objects.head, sizeof words, err);
	if (status)
		return status;
	if (pwrite_full(responder->objects.head.fd, &words, sizeof words, 0) != 0)
		return error_os(err, errno, "cannot write an answer");
	semaphore_post(responder->objects.response.handle);
	*ret = refused ? CLASSIC_REFUSED : CLASSIC_ANSWERED;
	return STATUS_OK;
}

static void sleep_until(uint64_t end)
{
	struct timespec until = clock_timespec(end);

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Attaches if needed, then waits; STATUS_NOT_FOUND if the requester's objects are not there. */
static int serve_next(struct classic_responder *responder, uint64_t end, enum classic_outcome *ret,
	struct error *err)
{
	int status = responder->attached ? STATUS_OK : attach(responder, err);

	if (status == STATUS_NOT_FOUND)
		sleep_until(end);
	if (status)
		return status;
	if (semaphore_wait(responder->objects.request.handle, end))
		return answer_request(responder, ret, err);
	*ret = CLASSIC_IDLE;
	return classic_semaphores_current(&responder->objects) ? STATUS_OK : STATUS_NOT_FOUND;
}

int classic_responder_serve(struct classic_responder *responder, uint64_t deadline,
	enum classic_outcome *ret, struct error *err)
{
	int status = serve_next(responder, classic_wait_end(deadline), ret, err);

	if (status)
		detach(responder);
	if (status != STATUS_NOT_FOUND)
		return status;
	*ret = CLASSIC_ABSENT;
	return STATUS_OK;
}
