/*
 * A line on the terminal for what takes longer than a second, and complaints between.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *command; /* what complaints begin with: "shmsem fetch" */
	const char *note;
	size_t total, done;
	bool shown, over, ticking;
	uint64_t begun; /* ns */
	pthread_mutex_t lock;
	pthread_cond_t ended;
	pthread_t ticker;
};

/* Nothing is shown, and no thread made, unless standard error is a terminal. */
void progress_begin(struct progress *progress, const char *command, size_t total);
void progress_end(struct progress *progress);

/* One more is done; any thread. */
void progress_step(struct progress *progress);

/* So many are done, of so many; `note` is shown behind that, and is not copied. Any thread. */
void progress_set(struct progress *progress, size_t done, size_t total, const char *note);

/* Prints "COMMAND: ..." as a line of its own on standard error; any thread. */
void progress_say(struct progress *progress, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
