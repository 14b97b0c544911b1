#include "cli/progress.h"

#include "base/clock.h"
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SHOW_AFTER_NS NS_PER_SECOND
#define SHOW_EVERY_NS (100 * NS_PER_MS)

/* With the lock held. */
static void show(struct progress *progress)
{
	double seconds = (double)(clock_now() - progress->begun) / 1e9;

	terminal_line("%s: %zu of %zu, %.1f s%s", progress->command, progress->done,
		progress->total, seconds, progress->note);
	progress->shown = true;
}

static void hide(struct progress *progress)
{
	if (progress->shown)
		terminal_line("%s", "");
	progress->shown = false;
}

static void *tick(void *data)
{
	struct progress *progress = data;
	uint64_t next = progress->begun + SHOW_AFTER_NS;

	pthread_mutex_lock(&progress->lock);
	while (!progress->over) {
		struct timespec until = clock_timespec(next);

		if (pthread_cond_clockwait(&progress->ended, &progress->lock, CLOCK_MONOTONIC,
			    &until) != ETIMEDOUT)
			continue;
		show(progress);
		next = clock_now() + SHOW_EVERY_NS;
	}
	pthread_mutex_unlock(&progress->lock);
	return NULL;
}

void progress_begin(struct progress *progress, const char *command, size_t total)
{
	*progress = (struct progress){.command = command,
		.note = "",
		.total = total,
		.begun = clock_now(),
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER};
	if (isatty(STDERR_FILENO))
		progress->ticking = pthread_create(&progress->ticker, NULL, tick, progress) == 0;
}

void progress_end(struct progress *progress)
{
	pthread_mutex_lock(&progress->lock);
	progress->over = true;
	hide(progress);
	pthread_cond_signal(&progress->ended);
	pthread_mutex_unlock(&progress->lock);
	if (progress->ticking)
		pthread_join(progress->ticker, NULL);
	progress->ticking = false;
}

void progress_step(struct progress *progress)
{
	pthread_mutex_lock(&progress->lock);
	progress->done++;
	pthread_mutex_unlock(&progress->lock);
}

void progress_set(struct progress *progress, size_t done, size_t total, const char *note)
{
	pthread_mutex_lock(&progress->lock);
	progress->done = done;
	progress->total = total;
	progress->note = note;
	pthread_mutex_unlock(&progress->lock);
}

void progress_say(struct progress *progress, const char *format, ...)
{
	va_list arguments;

	pthread_mutex_lock(&progress->lock);
	hide(progress);
	fprintf(stderr, "%s: ", progress->command);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	pthread_mutex_unlock(&progress->lock);
}
