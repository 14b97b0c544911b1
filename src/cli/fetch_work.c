/* Asking for images, over one connection or several at once. */
#include "cli/fetch.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/preview.h"
#include "cli/replace.h"
#include "cli/srgb.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int take_over(const struct shmsem_error *error, struct error *err)
{
	error_set(err, error->status, "%s", error->message);
	err->os_error = error->os_error;
	return error->status;
}

/* What it waits for is not seen otherwise. */
static void say_waiting(void *command, int event, const char *message)
{
	if (event == SHMSEM_QUEUED || event == SHMSEM_AWAITING)
		fprintf(stderr, "%s: %s\n", (const char *)command, message);
}

int fetch_connect(
	const struct fetch_plan *plan, const char *command, struct shmsem **ret, struct error *err)
{
	struct shmsem_connect_options options = plan->connect;
	struct shmsem_error error;
	int status;

	options.log = say_waiting;
	options.log_data = (void *)command;
	status = shmsem_connect(ret, &options, &error);
	return status ? take_over(&error, err) : STATUS_OK;
}

int fetch_work_init(struct fetch_work *ret, const struct fetch_plan *plan,
	const struct fetch_names *names, const struct fetch_draw *draw, struct error *err)
{
	*ret = (struct fetch_work){.plan = plan,
		.names = names,
		.draw = draw,
		.results = calloc(draw->count, sizeof *ret->results),
		.said = calloc(names->count, sizeof *ret->said)};
	if (ret->results && ret->said)
		return STATUS_OK;
	fetch_work_release(ret);
	return error_os(err, ENOMEM, "cannot keep the results");
}

void fetch_work_release(struct fetch_work *work)
{
	for (size_t i = 0; work->results && i < work->draw->count; i++)
		free(work->results[i].message);
	free(work->results);
	free(work->said);
}

static const char *name_of(const struct fetch_work *work, size_t at)
{
	return work->names->names[work->draw->wanted[at]];
}

static const char *orientation_text(unsigned orientation)
{
	static const char *const texts[] = {
		[0] = "the file says nothing of its orientation",
		[1] = "orientation 1 (upright)",
		[2] = "left in orientation 2 (mirrored)",
		[3] = "left in orientation 3 (upside down)",
		[4] = "left in orientation 4 (upside down, mirrored)",
		[5] = "left in orientation 5 (mirrored, to be turned left by 90 degrees)",
		[6] = "left in orientation 6 (to be turned right by 90 degrees)",
		[7] = "left in orientation 7 (mirrored, to be turned right by 90 degrees)",
		[8] = "left in orientation 8 (to be turned left by 90 degrees)",
	};

	return orientation < sizeof texts / sizeof *texts ? texts[orientation] : texts[0];
}

void fetch_say_failure(struct progress *progress, const char *name, const char *text)
{
	char quoted[258];

	snprintf(quoted, sizeof quoted, "'%s'", name);
	if (!strncmp(text, name, strlen(name)) || strstr(text, quoted))
		progress_say(progress, "%s", text);
	else
		progress_say(progress, "%s: %s", name, text);
}

static void say_success(struct fetch_work *work, const char *shown, const struct shmsem_info *info)
{
	char warning[4 * sizeof info->warning];

	if (*info->warning)
		progress_say(&work->progress, "%s: warning: %s", shown,
			text_escape(info->warning, strlen(info->warning), warning, sizeof warning));
	if (work->plan->say_orientation)
		progress_say(&work->progress, "%s: %s", shown, orientation_text(info->orientation));
}

void fetch_done(struct fetch_work *work, size_t at, int status, const struct error *err)
{
	const struct fetch_plan *plan = work->plan;
	struct fetch_result *result = &work->results[at];
	const char *name = name_of(work, at);
	char shown[256];

	result->status = status;
	if (status)
		result->message = strdup(err->text);
	text_escape(name, strlen(name), shown, sizeof shown);
	/* Each name has its say once, however often it was drawn. */
	if ((status || *result->info.warning || plan->say_orientation) &&
		!atomic_exchange(&work->said[work->draw->wanted[at]], true)) {
		if (status)
			fetch_say_failure(&work->progress, shown, err->text);
		else
			say_success(work, shown, &result->info);
	}
	progress_step(&work->progress);
}

static int check_whole(const void *held, struct error *err)
{
	struct shmsem_error error;

	return shmsem_check(held, &error) ? take_over(&error, err) : STATUS_OK;
}

static int write_profile(const char *path, const struct shmsem_image *image, struct error *err)
{
	struct replacement replacement = {0};
	int status;

	if (!image->icc)
		return error_set(
			err, STATUS_NOT_FOUND, "has no colour profile to write to '%s'", path);
	status = replacement_open(path, &replacement, err);
	if (status)
		return status;
	fwrite(image->icc, 1, image->info.icc_bytes, replacement.file);
	status = check_whole(image, err);
	if (!status)
		status = replacement_commit(&replacement, err);
	replacement_release(&replacement);
	return status;
}

int fetch_put(const struct fetch_plan *plan, const char *name, const struct encode_image *image,
	int (*check)(const void *held, struct error *err), const void *held, struct error *err)
{
	int status = output_write(&plan->output, name, image, check, held, err);

	if (!status && plan->preview)
		status = preview_show(image, err);
	return status;
}

static int use(const struct fetch_plan *plan, const char *name, const struct shmsem_image *image,
	struct error *err)
{
	struct encode_image pixels = {.pixels = image->pixels,
		.width = image->info.width,
		.height = image->info.height,
		.channels = image->info.channels,
		.bits = image->info.bits,
		.icc = image->icc,
		.icc_bytes = image->info.icc_bytes,
		.gamma = image->info.gamma,
		.srgb = image->info.srgb,
		.cmyk = image->info.cmyk};
	AUTO_FREE void *converted = NULL;
	int status;

	memcpy(pixels.chromaticities, image->info.chromaticities, sizeof pixels.chromaticities);
	status = plan->srgb ? srgb_convert(&pixels, &converted, err) : STATUS_OK;
	if (status)
		return status;
	status = fetch_put(plan, name, &pixels, check_whole, image, err);
	if (status || !plan->icc)
		return status;
	return write_profile(plan->icc, image, err);
}

/* One image; the time is that of the hand-off, not of writing a file. */
static int fetch_one(struct fetch_work *work, struct shmsem *client, size_t at, bool *ret_gone,
	struct error *err)
{
	const struct fetch_plan *plan = work->plan;
	struct fetch_result *result = &work->results[at];
	struct shmsem_request request = plan->request;
	struct shmsem_image image = {0};
	struct shmsem_error error;
	uint64_t begun = clock_now();
	int status;

	request.name = name_of(work, at);
	status = plan->info ? shmsem_info(client, &request, &result->info, &error)
			    : shmsem_fetch(client, &request, &image, &error);
	result->took = clock_now() - begun;
	if (status == SHMSEM_UNAVAILABLE && shmsem_ping(client, NULL) == SHMSEM_UNAVAILABLE)
		*ret_gone = true;
	if (status)
		return take_over(&error, err);
	if (plan->info)
		return STATUS_OK;
	result->info = image.info;
	status = use(plan, request.name, &image, err);
	shmsem_release(&image);
	return status;
}

/* What is left once there is no server any more. */
static void leave_out(struct fetch_work *work, size_t at)
{
	work->results[at].status = STATUS_UNAVAILABLE;
	work->results[at].message = strdup("not asked for: there is no server any more");
	progress_step(&work->progress);
}

static void ask(struct fetch_work *work, struct shmsem *client)
{
	size_t at;

	while (!work->stop && (at = work->next++) < work->draw->count) {
		struct error err = {0};
		bool gone = work->gone;
		int status = gone ? STATUS_UNAVAILABLE : fetch_one(work, client, at, &gone, &err);

		/* Who read our output has gone, as head(1) does when it has enough. */
		if (status == STATUS_IO && err.os_error == EPIPE)
			work->stop = true;
		else if (gone && atomic_exchange(&work->gone, true))
			leave_out(work, at);
		else
			fetch_done(work, at, status, &err);
	}
}

/* Without a seat for this one, the others do its part. */
static void *ask_too(void *data)
{
	struct fetch_work *work = data;
	struct shmsem *client;

	if (shmsem_connect(&client, &work->plan->connect, NULL) == 0) {
		ask(work, client);
		shmsem_close(client);
	}
	return NULL;
}

void fetch_all(struct fetch_work *work, struct shmsem *client)
{
	size_t most = work->draw->count, started = 0;
	size_t wanted = (work->plan->at_once < most ? work->plan->at_once : most) - 1;
	AUTO_FREE pthread_t *others = wanted ? calloc(wanted, sizeof *others) : NULL;

	progress_begin(&work->progress, FETCH_COMMAND, most);
	while (others && started < wanted &&
		pthread_create(&others[started], NULL, ask_too, work) == 0)
		started++;
	ask(work, client);
	for (size_t i = 0; i < started; i++)
		pthread_join(others[i], NULL);
	progress_end(&work->progress);
}
