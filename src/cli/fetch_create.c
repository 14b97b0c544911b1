/*
 * fetch --create: the requester and creator of the classic exchange, for a responder that joins. It
 * is another exchange than libshmsem's, so this file alone includes the exchange for it.
 */
#include "cli/fetch.h"

#include "base/clock.h"
#include "exchange/classic.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>

#define MOST_BYTES         (UINT64_C(1) << 30)
#define DEFAULT_TIMEOUT_NS (30 * NS_PER_SECOND)

static atomic_bool stop;
static volatile sig_atomic_t stop_signal;

static void note_signal(int number)
{
	stop_signal = number;
	atomic_store(&stop, true);
}

/* The objects are ours to unlink, however we end; a reader of our output that goes is an error. */
static void handle_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction note = {.sa_handler = note_signal};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &note, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* As if we had never handled it. */
static void end_by_signal(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

/* The pixels are a copy of our own: nobody can truncated them. */
static int check_nothing(const void *held, struct error *err)
{
	(void)held;
	(void)err;
	return STATUS_OK;
}

static int fetch_one(struct fetch_work *work, struct classic_requester *requester, size_t at,
	uint64_t timeout, struct error *err)
{
	const char *name = work->names->names[work->draw->wanted[at]];
	struct fetch_result *result = &work->results[at];
	uint64_t begun = clock_now();
	struct classic_image image;
	struct encode_image pixels;
	int status = classic_requester_fetch(requester, name, deadline_after(timeout), &image, err);

	result->took = clock_now() - begun;
	if (status)
		return status;
	if (image.geometry.width > UINT32_MAX || image.geometry.height > UINT32_MAX)
		return error_set(err, STATUS_BAD_DATA, "an image of that size is too large");
	result->info = (struct shmsem_info){.bytes = image.geometry.bytes,
		.width = (uint32_t)image.geometry.width,
		.height = (uint32_t)image.geometry.height,
		.stride = (uint32_t)(image.geometry.width * image.geometry.channels),
		.channels = (uint8_t)image.geometry.channels,
		.bits = 8,
		.scale = 1};
	pixels = (struct encode_image){.pixels = image.pixels,
		.width = result->info.width,
		.height = result->info.height,
		.channels = result->info.channels,
		.bits = 8};
	return fetch_put(work->plan, name, &pixels, check_nothing, NULL, err);
}

static void ask(struct fetch_work *work, struct classic_requester *requester)
{
	const struct shmsem_connect_options *connect = &work->plan->connect;
	uint64_t timeout = connect->timeout_ns ? connect->timeout_ns : DEFAULT_TIMEOUT_NS;

	for (size_t at = 0; at < work->draw->count && !work->stop; at++) {
		struct error err = {0};
		/* The responder may have to appear first. */
		int status = fetch_one(
			work, requester, at, at ? timeout : timeout + connect->wait_ns, &err);

		if (atomic_load(&stop) || (status == STATUS_IO && err.os_error == EPIPE))
			work->stop = true;
		else
			fetch_done(work, at, status, &err);
	}
}

int fetch_create(struct fetch_work *work, struct error *err)
{
	struct classic_requester_options options = {
		.access = {.mode = 0600, .group = (gid_t)-1},
		.max_bytes = MOST_BYTES,
		.stop = &stop,
	};
	struct classic_requester *requester;
	struct error why; /* may have a message after success, too */
	int status = namespace_parse(work->plan->connect.name_space, &options.space, err);

	if (status)
		return status;
	handle_signals();
	status = classic_requester_new(&options, &requester, &why);
	if (status) {
		*err = why;
		return status;
	}
	progress_begin(&work->progress, FETCH_COMMAND, work->draw->count);
	ask(work, requester);
	progress_end(&work->progress);
	classic_requester_free(requester);
	if (stop_signal)
		end_by_signal(stop_signal);
	return STATUS_OK;
}
