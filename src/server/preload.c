#include "server/preload.h"

#include "base/clock.h"
#include "base/text.h"
#include "server/internal.h"
#include "server/jobs.h"
#include "server/listing.h"

#include <errno.h>
#include <fnmatch.h>
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
	char *text; /* all names of the folder */
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
	size_t size, count = 0;
	int status;

	if (!preload)
		return error_os(err, ENOMEM, "cannot preload");
	server->preload = preload;
	preload->options = server->options.preload;
	preload->last_failure = &preload->failures;
	pthread_cond_init(&preload->changed, NULL);
	status = listing_read(server->folder, &preload->text, &size, err);
	if (status)
		return status;
	for (size_t i = 0; i < size; i++)
		count += !preload->text[i];
	preload->names = calloc(count + 1, sizeof *preload->names);
	if (!preload->names)
		return error_os(err, ENOMEM, "cannot preload");
	for (const char *at = preload->text; at < preload->text + size; at += strlen(at) + 1)
		if (wanted(preload->options, at))
			preload->names[preload->progress.images++] = at;
	say_unmatched(preload);
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

/* Puts the file in line, if it is not in the store yet under another name. With the store's lock
 * held. */
static int submit(struct server *server, const char *name, struct resolved *file,
	struct watch_token *token, struct error *err)
{
	struct image_key key = {.file = file->key, .kind = LINK_DECODE};
	struct job *job;

	watch_file(server->watch, file, token);
	if (store_find(&server->store, &key)) {
		watch_drop(server->watch, file->watched);
		preload_done(server->preload, NULL);
		return STATUS_OK;
	}
	job = job_new(server, name, NULL, &key, file, token);
	watch_drop(server->watch, file->watched);
	if (!job)
		return error_os(err, ENOMEM, "no memory for another image");
	job->preload = true;
	job_submit(server, job);
	return STATUS_OK;
}

/* With the store's lock held, which is let go while the file is opened. */
static void preload_image(struct server *server, const char *name)
{
	struct resolved file = {.fd = -1};
	struct watch_token token;
	struct error err;
	int status;

	server->preload->jobs++;
	watch_update(server->watch);
	token = watch_folder_of(server->watch, name);
	store_unlock(&server->store);
	status = files_resolve(server->folder, name, &file, &err);
	if (!status)
		status = files_check(&file, server->options.file_bytes, &err);
	store_lock(&server->store);
	if (!status)
		status = submit(server, name, &file, &token, &err);
	if (file.fd >= 0)
		close(file.fd);
	if (status)
		preload_done(server->preload, &err);
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

int preload_run(struct server *server, struct error *err)
{
	struct preload *preload = server->preload;
	const struct preload_options *options = preload->options;
	bool go_on = true, finished = false;

	store_lock(&server->store);
	while (go_on && !finished) {
		struct preload_progress now;

		preload_some(server);
		finished = preload->progress.finished = !preload->jobs && !more_names(server);
		now = preload->progress;
		say_failures(server);
		store_unlock(&server->store);
		go_on = options->progress(options->context, &now);
		store_lock(&server->store);
	}
	store_unlock(&server->store);
	if (go_on)
		return STATUS_OK;
	/* Nobody can have asked yet: to end the server need not wait for its images. */
	atomic_store(&server->stopping, true);
	atomic_store(&server->abandon, true);
	return error_set(err, STATUS_UNAVAILABLE, "the server is stopping");
}
