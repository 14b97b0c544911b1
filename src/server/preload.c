#include "server/preload.h"

#include "base/clock.h"
#include "base/text.h"
#include "server/internal.h"
#include "server/listing.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_NS (100 * NS_PER_MS)

struct preload {
	const struct preload_options *options;
	char *text; /* all names of the folder */
	const char **names;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* under the lock */
	struct preload_progress progress;
	size_t next;      /* name */
	unsigned workers; /* that have begun: the first for decoder 0, and so on */
	unsigned at_work;
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
	preload->at_work = server->options.decoders;
	pthread_mutex_init(&preload->lock, NULL);
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
	pthread_mutex_destroy(&preload->lock);
	pthread_cond_destroy(&preload->changed);
	free(preload->names);
	free(preload->text);
	free(preload);
	return NULL;
}

/* The job for a file that is not in the store yet under another name. */
static int make_job(struct server *server, const char *name, struct resolved *file,
	struct watch_token *token, struct job **ret, struct error *err)
{
	struct image_key key = {.file = file->key, .kind = LINK_DECODE};
	bool known;

	store_lock(&server->store);
	watch_file(server->watch, file, token);
	known = store_find(&server->store, &key) != NULL;
	*ret = known ? NULL : decode_job_new(server, name, NULL, &key, file, token);
	watch_drop(server->watch, file->watched);
	store_unlock(&server->store);
	return known || *ret ? STATUS_OK : error_os(err, ENOMEM, "no memory for another image");
}

static int preload_image(
	struct server *server, unsigned decoder, const char *name, struct error *err)
{
	struct resolved file = {.fd = -1};
	struct watch_token token;
	struct job *job = NULL;
	int status;

	store_lock(&server->store);
	watch_update(server->watch);
	token = watch_folder_of(server->watch, name);
	store_unlock(&server->store);
	status = files_resolve(server->folder, name, &file, err);
	if (!status)
		status = files_check(&file, server->options.file_bytes, err);
	if (!status)
		status = make_job(server, name, &file, &token, &job, err);
	if (file.fd >= 0)
		close(file.fd);
	return job ? decode_job_run(server, decoder, job, err) : status;
}

static bool store_full(struct server *server)
{
	bool full;

	store_lock(&server->store);
	full = server->store.evictions || server->store.refusals;
	store_unlock(&server->store);
	return full;
}

/* The next name; NULL when there is none, or no use in going on. */
static const char *next_name(struct server *server)
{
	struct preload *preload = server->preload;
	const char *name = NULL;
	bool full = store_full(server);

	pthread_mutex_lock(&preload->lock);
	if (preload->next < preload->progress.images && full)
		preload->progress.full = true;
	else if (preload->next < preload->progress.images && !atomic_load(&server->stopping))
		name = preload->names[preload->next++];
	pthread_mutex_unlock(&preload->lock);
	return name;
}

void preload_work(struct server *server)
{
	struct preload *preload = server->preload;
	unsigned decoder;
	const char *name;

	pthread_mutex_lock(&preload->lock);
	decoder = preload->workers++;
	pthread_mutex_unlock(&preload->lock);
	if (decoder >= server->options.decoders)
		return;
	while ((name = next_name(server))) {
		struct error err;
		int status = preload_image(server, decoder, name, &err);

		if (status && !atomic_load(&server->stopping))
			preload->options->say(err.text);
		pthread_mutex_lock(&preload->lock);
		preload->progress.done++;
		preload->progress.failed += status != STATUS_OK;
		pthread_mutex_unlock(&preload->lock);
	}
	pthread_mutex_lock(&preload->lock);
	preload->at_work--;
	pthread_cond_signal(&preload->changed);
	pthread_mutex_unlock(&preload->lock);
}

int preload_wait(struct server *server, struct error *err)
{
	struct preload *preload = server->preload;
	const struct preload_options *options = preload->options;
	bool go_on = true;

	pthread_mutex_lock(&preload->lock);
	while (preload->at_work && go_on) {
		struct timespec until = clock_timespec(clock_now() + PROGRESS_NS);
		struct preload_progress now;

		pthread_cond_clockwait(&preload->changed, &preload->lock, CLOCK_MONOTONIC, &until);
		preload->progress.finished = !preload->at_work;
		now = preload->progress;
		pthread_mutex_unlock(&preload->lock);
		go_on = options->progress(options->context, &now);
		pthread_mutex_lock(&preload->lock);
	}
	pthread_mutex_unlock(&preload->lock);
	if (go_on)
		return STATUS_OK;
	/* Whoever ends a server that nobody can have asked yet does not wait for its images. */
	atomic_store(&server->stopping, true);
	atomic_store(&server->abandon, true);
	return error_set(err, STATUS_UNAVAILABLE, "the server is stopping");
}
