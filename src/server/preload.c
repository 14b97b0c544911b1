#include "server/preload.h"

#include "base/clock.h"
#include "base/text.h"
#include "server/file_task.h"
#include "server/internal.h"
#include "server/jobs.h"
#include "server/name_list.h"
#include "server/serve_image.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_NS (100 * NS_PER_MS)

/* Jobs a decoder at a time: one more than it is at. */
#define JOBS_A_DECODER 1

/* A failure that has not been told yet. */
struct failure {
	struct failure *next;
	struct error err;
};

struct preload {
	const struct preload_options *options;
	const struct within *within;
	char *text; /* all names of the folder, once they are there */
	const char **names;
	size_t next; /* name */
	/* Under the store's lock. */
	pthread_cond_t changed;
	struct preload_progress progress;
	struct failure *failures, **last_failure;
	size_t jobs; /* in line or at work */
};

static bool matches(const char *pattern, const char *name)
{
	const char *dot = strrchr(name, '.');
	char stem[1024];

	if (!fnmatch(pattern, name, 0))
		return true;
	if (!dot || (size_t)(dot - name) >= sizeof stem)
		return false;
	memcpy(stem, name, (size_t)(dot - name));
	stem[dot - name] = '\0';
	return !fnmatch(pattern, stem, 0);
}

static bool wanted(const struct preload_options *options, const char *name)
{
	for (size_t i = 0; i < options->patterns_count; i++)
		if (matches(options->patterns[i], name))
			return true;
	return false;
}

static void say_unmatched(const struct preload *preload)
{
	const struct preload_options *options = preload->options;

	for (size_t i = 0; i < options->patterns_count; i++) {
		const char *pattern = options->patterns[i];
		char shown[256];
		struct error err;
		size_t n = 0;

		while (n < preload->progress.images && !matches(pattern, preload->names[n]))
			n++;
		if (n < preload->progress.images)
			continue;
		error_set(&err, STATUS_NOT_FOUND, "--preload: there is no image '%s'",
			text_escape(pattern, strlen(pattern), shown, sizeof shown));
		options->say(err.text);
	}
}

int preload_new(struct server *server, struct error *err)
{
	struct preload *preload = calloc(1, sizeof *preload);

	if (!preload)
		return error_os(err, ENOMEM, "cannot preload");
	server->preload = preload;
	preload->options = server->options.preload;
	preload->within = &server->within;
	preload->last_failure = &preload->failures;
	pthread_cond_init(&preload->changed, NULL);
	return STATUS_OK;
}

/* Says how far it is, and whether that is to be all; and does what the server's main thread has to do. With
 * the store's lock held, which is let go for it. */
static int say_progress(struct server *server, bool *ret_go_on, struct error *err)
{
	struct preload *preload = server->preload;
	const struct preload_progress now = preload->progress;
	bool done;
	int status;

	store_unlock(&server->store);
	*ret_go_on = preload->options->progress(preload->options->context, &now);
	status = server_upkeep(server, &done, err);
	store_lock(&server->store);
	return status;
}

/* Waits for the names. With the store's lock held. */
static int await_names(struct server *server, bool *ret_go_on, struct error *err)
{
	struct names_work *names = &server->names;
	uint64_t lists = names->lists;
	int status;

	names_begin(server);
	while (names->lists == lists) {
		const struct timespec until = clock_timespec(deadline_after(PROGRESS_NS));

		pthread_cond_clockwait(
			&names->changed, &server->store.lock, CLOCK_MONOTONIC, &until);
		status = say_progress(server, ret_go_on, err);
		if (status || !*ret_go_on)
			return status;
	}
	return names->failure.status ? error_copy(err, &names->failure) : STATUS_OK;
}

/* Chooses among the names. With the store's lock held, which is let go to say what is not there. */
static int choose(struct server *server, struct error *err)
{
	struct preload *preload = server->preload;
	size_t size, count = 0;

	preload->text = listed_copy(&server->names.done, &size);
	if (!preload->text)
		return error_os(err, ENOMEM, "cannot preload");
	for (size_t i = 0; i < size; i++)
		count += !preload->text[i];
	preload->names = calloc(count + 1, sizeof *preload->names);
	if (!preload->names)
		return error_os(err, ENOMEM, "cannot preload");
	for (const char *at = preload->text; at < preload->text + size; at += strlen(at) + 1)
		if (wanted(preload->options, at))
			preload->names[preload->progress.images++] = at;
	store_unlock(&server->store);
	say_unmatched(preload);
	store_lock(&server->store);
	return STATUS_OK;
}

struct preload *preload_free(struct preload *preload)
{
	if (!preload)
		return NULL;
	for (struct failure *failure = preload->failures, *next; failure; failure = next) {
		next = failure->next;
		free(failure);
	}
	pthread_cond_destroy(&preload->changed);
	free(preload->names);
	free(preload->text);
	free(preload);
	return NULL;
}

void preload_done(struct preload *preload, const struct error *failure)
{
	struct failure *note = failure ? malloc(sizeof *note) : NULL;

	preload->jobs--;
	preload->progress.done++;
	preload->progress.failed += failure != NULL;
	if (note) {
		*note = (struct failure){.err = *failure};
		within_hide(preload->within, &note->err);
		*preload->last_failure = note;
		preload->last_failure = &note->next;
	}
	pthread_cond_signal(&preload->changed);
}

/* With the store's lock held, which is let go for it: who reads what is said may be slow. */
static void say_failures(struct server *server)
{
	struct preload *preload = server->preload;
	struct failure *failure = preload->failures, *next;

	preload->failures = NULL;
	preload->last_failure = &preload->failures;
	store_unlock(&server->store);
	for (; failure; failure = next) {
		next = failure->next;
		if (!atomic_load(&server->stopping))
			preload->options->say(failure->err.text);
		free(failure);
	}
	store_lock(&server->store);
}

static bool wants(struct server *server, const struct file_task *task)
{
	(void)server, (void)task;
	return true;
}

static bool take(struct server *server, const struct file_task *task, struct resolved *file,
	const struct watch_token *token, int status, struct error *err)
{
	static const struct image_options as_it_is;
	struct stored *image = NULL;
	struct job *job = NULL;

	if (!status) {
		image = serve_find(
			server, task->order.name, &as_it_is, LINK_DECODE, file, token, &job);
		if (!image && file->fd < 0)
			return false;
	}
	if (!status && !image)
		error_os(err, ENOMEM, "no memory for another image");
	if (job) {
		job->preload = true;
		job_submit(server, job);
	} else {
		preload_done(server->preload, image ? NULL : err);
	}
	return true;
}

/* With the store's lock held, which is let go while the file is opened. */
static void preload_image(struct server *server, const char *chosen)
{
	static const struct file_user user = {.wants = wants, .take = take};
	struct file_task task = {.user = &user};
	char name[WIRE_NAME_MAX + 1];

	server->preload->jobs++;
	/* There are no longer ones in a list. */
	snprintf(name, sizeof name, "%s%s", server->within.prefix, chosen);
	file_task_open(server, &task, name);
}

/* Whether there is another name, and use in going on. */
static bool more_names(struct server *server)
{
	struct preload *preload = server->preload;

	if (preload->next == preload->progress.images || atomic_load(&server->stopping))
		return false;
	preload->progress.full = server->store.evictions || server->store.refusals;
	return !preload->progress.full;
}

/* Keeps the decoders at work until there is something to tell. With the store's lock held. */
static void preload_some(struct server *server)
{
	struct preload *preload = server->preload;
	uint64_t deadline = deadline_after(PROGRESS_NS);
	const struct timespec until = clock_timespec(deadline);
	size_t most = (size_t)server->options.decoders * JOBS_A_DECODER;

	while (clock_now() < deadline && !preload->failures) {
		while (preload->jobs < most && more_names(server))
			preload_image(server, preload->names[preload->next++]);
		if (!preload->jobs)
			return;
		pthread_cond_clockwait(
			&preload->changed, &server->store.lock, CLOCK_MONOTONIC, &until);
	}
}

static int run(struct server *server, bool *ret_go_on, struct error *err)
{
	struct preload *preload = server->preload;
	int status = await_names(server, ret_go_on, err);

	if (status || !*ret_go_on)
		return status;
	status = choose(server, err);
	while (!status && *ret_go_on && !preload->progress.finished) {
		preload_some(server);
		preload->progress.finished = !preload->jobs && !more_names(server);
		say_failures(server);
		status = say_progress(server, ret_go_on, err);
	}
	return status;
}

int preload_run(struct server *server, struct error *err)
{
	bool go_on = true;
	int status;

	store_lock(&server->store);
	status = run(server, &go_on, err);
	store_unlock(&server->store);
	if (status || go_on)
		return status;
	/* Nobody can have asked yet: to end the server need not wait for its images. */
	atomic_store(&server->stopping, true);
	atomic_store(&server->abandon, true);
	return error_set(err, STATUS_UNAVAILABLE, "the server is stopping");
}
