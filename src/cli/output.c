#include "cli/output.h"

#include "base/cleanup.h"
#include "cli/replace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the last component of a path, without the dot; empty if there is none. */
static const char *extension_of(const char *path)
{
	const char *base = strrchr(path, '/'), *dot;

	base = base ? base + 1 : path;
	dot = strrchr(base, '.');
	return dot && dot != base ? dot + 1 : "";
}

static enum output_kind kind_of(const char *path, bool several)
{
	size_t length = strlen(path);
	struct stat status;

	if (!strcmp(path, "-"))
		return OUTPUT_STREAM;
	if (length && path[length - 1] == '/')
		return OUTPUT_FOLDER;
	if (stat(path, &status) == 0)
		return S_ISDIR(status.st_mode) ? OUTPUT_FOLDER : OUTPUT_FILE;
	return several && encode_format_of(extension_of(path)) < 0 ? OUTPUT_FOLDER : OUTPUT_FILE;
}

static int choose_format(
	const struct output *output, const char *type, enum encode_format *ret, struct error *err)
{
	static const enum encode_format defaults[] = {
		[OUTPUT_STREAM] = ENCODE_PNM,
		[OUTPUT_FOLDER] = ENCODE_PNG,
	};
	const char *named = type ? type : extension_of(output->path);
	int format = encode_format_of(named);

	if (!type && output->kind != OUTPUT_FILE)
		format = (int)defaults[output->kind];
	if (format >= 0)
		*ret = (enum encode_format)format;
	else if (type)
		return error_set(err, STATUS_USAGE,
			"-t: there is no format '%s', but png, jpeg, pnm, qoi and raw", type);
	else
		return error_set(err, STATUS_USAGE,
			"-o: '%s' does not end in .png, .jpg, .ppm, .pgm, .pam, .qoi or .raw; say "
			"which format with -t",
			output->path);
	return STATUS_OK;
}

int output_parse(
	const char *path, const char *type, bool several, struct output *ret, struct error *err)
{
	struct output output = {.kind = OUTPUT_NONE, .path = path};
	int status;

	if (!path && type)
		return error_set(err, STATUS_USAGE, "-t says how to write; say where with -o");
	if (!path) {
		*ret = output;
		return STATUS_OK;
	}
	if (!*path)
		return error_set(err, STATUS_USAGE, "-o: the name is empty");
	output.kind = kind_of(path, several);
	status = choose_format(&output, type, &output.format, err);
	if (status)
		return status;
	if (output.kind == OUTPUT_STREAM && isatty(STDOUT_FILENO))
		return error_set(
			err, STATUS_USAGE, "-o -: refusing to write image data to a terminal");
	*ret = output;
	return STATUS_OK;
}

static int write_into(FILE *file, const struct output *output, const struct encode_image *image,
	int (*check)(const void *held, struct error *err), const void *held, struct error *err)
{
	int status = encode_write(file, output->format, image, &output->encode, err);

	return status ? status : check(held, err);
}

/* A server may say any name, and we write where it leads: only ever down. */
static bool leads_down(const char *name)
{
	bool deeper = false;

	if (*name == '/')
		return false;
	for (const char *at = name; *at;) {
		size_t length = strcspn(at, "/");

		if (length == 2 && !strncmp(at, "..", 2))
			return false;
		deeper = length && !(length == 1 && *at == '.');
		at += length + (at[length] == '/');
	}
	return deeper && name[strlen(name) - 1] != '/';
}

/* DIR/NAME.png; no second extension on a name that has one of this format. */
static char *path_below(const struct output *output, const char *name, unsigned channels)
{
	bool slash = output->path[strlen(output->path) - 1] == '/';
	bool named = encode_format_of(extension_of(name)) == (int)output->format;
	char *path = NULL;

	if (asprintf(&path, "%s%s%s%s", output->path, slash ? "" : "/", name,
		    named ? "" : encode_extension(output->format, channels)) < 0)
		return NULL;
	return path;
}

/* Makes every folder that the path goes through. */
static int make_folders(char *path, struct error *err)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		int failed;

		*at = '\0';
		failed = mkdir(path, 0777) != 0 && errno != EEXIST ? errno : 0;
		if (failed) {
			replacement_error(failed, path, err);
			*at = '/';
			return err->status;
		}
		*at = '/';
	}
	return STATUS_OK;
}

static int write_file(const struct output *output, const char *path,
	const struct encode_image *image, int (*check)(const void *held, struct error *err),
	const void *held, struct error *err)
{
	struct replacement replacement = {0};
	int status = replacement_open(path, &replacement, err);

	if (status)
		return status;
	status = write_into(replacement.file, output, image, check, held, err);
	if (!status)
		status = replacement_commit(&replacement, err);
	replacement_release(&replacement);
	return status;
}

static int write_below(const struct output *output, const char *name,
	const struct encode_image *image, int (*check)(const void *held, struct error *err),
	const void *held, struct error *err)
{
	AUTO_FREE char *path = NULL;
	int status;

	if (!leads_down(name))
		return error_set(
			err, STATUS_USAGE, "is no name for a file below '%s'", output->path);
	path = path_below(output, name, image->channels);
	if (!path)
		return error_os(err, ENOMEM, "cannot write");
	status = make_folders(path, err);
	return status ? status : write_file(output, path, image, check, held, err);
}

static int write_stream(const struct output *output, const struct encode_image *image,
	int (*check)(const void *held, struct error *err), const void *held, struct error *err)
{
	int status = encode_write(stdout, output->format, image, &output->encode, err);

	if (!status && fflush(stdout) != 0)
		status = replacement_error(errno, "standard output", err);
	/* main would say the same once more */
	if (status)
		clearerr(stdout);
	return status ? status : check(held, err);
}

int output_write(const struct output *output, const char *name, const struct encode_image *image,
	int (*check)(const void *held, struct error *err), const void *held, struct error *err)
{
	switch (output->kind) {
	case OUTPUT_STREAM:
		return write_stream(output, image, check, held, err);
	case OUTPUT_FILE:
		return write_file(output, output->path, image, check, held, err);
	case OUTPUT_FOLDER:
		return write_below(output, name, image, check, held, err);
	case OUTPUT_NONE:
		break;
	}
	return STATUS_OK;
}
