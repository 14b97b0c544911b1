/*
 * Files that are there whole or not at all: written beside their place under no name, and put there
 * when they are complete.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>

struct replacement {
	FILE *file;       /* to write to */
	const char *path; /* the caller's; stays valid until release */
	char *place;      /* where it goes: `path`, or what it links to */
	char *temporary;  /* its name meanwhile, where it has to have one */
	bool direct;      /* a device, FIFO or socket: written to as it is */
};

/* Missing folders are not made. What exists already stays as it is until replacement_commit. */
int replacement_open(const char *path, struct replacement *ret, struct error *err);

/* Puts the file in its place. STATUS_IO if not all of it could be written. */
int replacement_commit(struct replacement *replacement, struct error *err);

/* Forgets what was not committed. All zero is ignored. */
void replacement_release(struct replacement *replacement);

/* The status and error message for a failed write: STATUS_IO, but for a lack of permission. */
int replacement_error(int os_error, const char *path, struct error *err);
