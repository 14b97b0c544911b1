/*
 * Where fetched images go: nowhere, to standard output, to a file, or to a folder, each under its
 * name.
 */
#pragma once

#include "base/error.h"
#include "image/encode.h"

#include <stdbool.h>

enum output_kind {
	OUTPUT_NONE,
	OUTPUT_STREAM, /* standard output */
	OUTPUT_FILE,
	OUTPUT_FOLDER,
};

struct output {
	enum output_kind kind;
	const char *path;
	enum encode_format format;
	struct encode_options encode;
};

/*
 * Understands -o and -t; either may be NULL. A folder is what is one, ends in a slash, or has to be
 * one for `several` images, having no extension of ours; it is made when first written to.
 */
int output_parse(
	const char *path, const char *type, bool several, struct output *ret, struct error *err);

/*
 * Writes one image. `check`, called with `held` after the pixels were read, may find that they were
 * not whole; then no file appears. A reader of standard output that has gone is STATUS_IO with
 * os_error EPIPE.
 */
int output_write(const struct output *output, const char *name, const struct encode_image *image,
	int (*check)(const void *held, struct error *err), const void *held, struct error *err);
