#include "cli/serve_options.h"

#include "base/clock.h"
#include "base/process.h"
#include "exchange/server_defaults.h"
#include "shm/names.h"

#include <grp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DECODERS_MAX 256
#define MEGAPIXEL    1000000

const struct option_row serve_rows[] = {
	{'N', "namespace", "NS", "name of the exchange (default: $SHMSEM_NAMESPACE, else shmsem)",
		OPTION_TEXT, offsetof(struct serve_options, name_space), 0, 0, NULL},
	{'w', "decoders", "N", "decoder processes (default: one a CPU that this process may use)",
		OPTION_NUMBER, offsetof(struct serve_options, decoders), 1, DECODERS_MAX, NULL},
	{'s', "seats", "N",
		"clients that can be connected at a time (default: 128, or 4 a CPU if more)",
		OPTION_NUMBER, offsetof(struct serve_options, seats), 1, 1024, NULL},
	{0, "requests", "N", "end after N requests", OPTION_NUMBER,
		offsetof(struct serve_options, requests), 1, 0, NULL},
	{0, "cache", "SIZE",
		"shared memory for decoded images (default: 512M, or a quarter of what is free)",
		OPTION_SIZE, offsetof(struct serve_options, cache), 0, 0, NULL},
	{0, "fresh", "SEC",
		"answer from the store for SEC without looking at the file (default: 0, exact)",
		OPTION_DURATION, offsetof(struct serve_options, fresh), 0, 0, NULL},
	{0, "decode-timeout", "SEC", "give up an image after SEC (default: 10)", OPTION_DURATION,
		offsetof(struct serve_options, decode_timeout), 0, 0, NULL},
	{0, "max-pixels", "N", "refuse images of more than N megapixels (default: 100)",
		OPTION_NUMBER, offsetof(struct serve_options, max_pixels), 1, 1 << 30, NULL},
	{0, "max-side", "N", "refuse images wider or higher than N (default: 65535)", OPTION_NUMBER,
		offsetof(struct serve_options, max_side), 1, UINT32_MAX, NULL},
	{0, "max-bytes", "SIZE", "refuse images of more than SIZE decoded (default: 1G)",
		OPTION_SIZE, offsetof(struct serve_options, max_bytes), 0, 0, NULL},
	{0, "max-file", "SIZE", "refuse files of more than SIZE (default: 256M)", OPTION_SIZE,
		offsetof(struct serve_options, max_file), 0, 0, NULL},
	{0, "max-scans", "N", "refuse JPEG files of more than N scans (default: 100)",
		OPTION_NUMBER, offsetof(struct serve_options, max_scans), 1, UINT32_MAX, NULL},
	{0, "max-chunk", "SIZE",
		"leave out ancillary chunks of a PNG of more than SIZE (default: 8 MB)",
		OPTION_SIZE, offsetof(struct serve_options, max_chunk), 0, 0, NULL},
	{0, "max-chunks", "N", "refuse PNG files of more than N ancillary chunks (default: 1000)",
		OPTION_NUMBER, offsetof(struct serve_options, max_chunks), 1, UINT32_MAX, NULL},
	{0, "isolate", NULL, "decode each image in a process of its own", OPTION_FLAG,
		offsetof(struct serve_options, isolate), 0, 0, NULL},
	{0, "allow-degraded-sandbox", NULL, "serve where the kernel has no seccomp", OPTION_FLAG,
		offsetof(struct serve_options, allow_degraded), 0, 0, NULL},
	{0, "mode", "MODE",
		"permissions of the objects, octal (default: 0600; data segments get the read "
		"bits)",
		OPTION_TEXT, offsetof(struct serve_options, mode), 0, 0, NULL},
	{0, "group", "GROUP", "group of the objects, by name or number", OPTION_TEXT,
		offsetof(struct serve_options, group), 0, 0, NULL},
	{0, "preload", "[GLOB]",
		"decode the images of that name at start (default: all; repeatable)", OPTION_LIST,
		offsetof(struct serve_options, preload), 0, 0, "*"},
	{0, "join", NULL,
		"answer a program that creates the objects itself (the classic exchange, "
		"shmsem(7))",
		OPTION_FLAG, offsetof(struct serve_options, join), 0, 0, NULL},
	{'q', "quiet", NULL, "say nothing when ready", OPTION_FLAG,
		offsetof(struct serve_options, quiet), 0, 0, NULL},
	{0},
};

/* Who joins has no objects, seats or store of its own. */
static int check_join(const struct serve_options *given, struct error *err)
{
	const struct {
		bool given;
		const char *option;
	} wrong[] = {
		{given->seats, "--seats"},
		{given->decoders, "--decoders"},
		{given->cache, "--cache"},
		{given->fresh, "--fresh"},
		{given->preload.count, "--preload"},
		{given->mode, "--mode"},
		{given->group, "--group"},
	};

	for (size_t i = 0; given->join && i < sizeof wrong / sizeof *wrong; i++)
		if (wrong[i].given)
			return error_set(err, STATUS_USAGE, "%s means nothing together with --join",
				wrong[i].option);
	return STATUS_OK;
}

static int check_words(int argc, char **argv, struct error *err)
{
	if (argc < 1)
		return error_set(err, STATUS_USAGE, "missing DIR: 'shmsem serve DIR'");
	/* getopt_long moves the words that follow "--" behind it. */
	if (argc > 1 && strcmp(argv[-1], "--"))
		return error_set(
			err, STATUS_USAGE, "one folder at a time; a command comes after '--'");
	return STATUS_OK;
}

int serve_options_check(const struct serve_options *given, int argc, char **argv, struct error *err)
{
	int status = check_words(argc, argv, err);

	return status ? status : check_join(given, err);
}

static int parse_mode(const char *text, mode_t *ret, struct error *err)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || mode > 0777 || (mode & 0600) != 0600)
		return error_set(err, STATUS_USAGE,
			"--mode: '%s' is not an octal mode such as 0600 or 0660", text);
	*ret = (mode_t)mode;
	return STATUS_OK;
}

static int parse_group(const char *text, gid_t *ret, struct error *err)
{
	const struct group *group = getgrnam(text);
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (!group && (*text < '0' || *text > '9' || *end || number >= (gid_t)-1))
		return error_set(err, STATUS_USAGE, "--group: there is no group '%s'", text);
	*ret = group ? group->gr_gid : (gid_t)number;
	return STATUS_OK;
}

/* A namespace that nobody else has, for a server that only its own command is to use. */
static int own_namespace(struct name_space *ret, struct error *err)
{
	char text[64];

	snprintf(text, sizeof text, "shmsem-%d-%llx", (int)getpid(),
		(unsigned long long)clock_now());
	return namespace_parse(text, ret, err);
}

/* What is not given stays as it is. */
static void set_limit(uint64_t given, uint64_t *limit)
{
	if (given)
		*limit = given;
}

static void set_limit32(uint64_t given, uint32_t *limit)
{
	if (given)
		*limit = (uint32_t)given;
}

static void set_limits(const struct serve_options *given, struct server_options *options)
{
	struct image_limits *limits = &options->limits;

	set_limit(given->max_pixels * MEGAPIXEL, &limits->pixels);
	set_limit32(given->max_side, &limits->side);
	set_limit(given->max_bytes, &limits->bytes);
	set_limit(given->max_file, &options->file_bytes);
	set_limit32(given->max_scans, &limits->scans);
	set_limit(given->max_chunk, &limits->chunk_bytes);
	set_limit32(given->max_chunks, &limits->chunks);
	set_limit(given->decode_timeout, &options->decode_timeout_ns);
}

static int set_access(const struct serve_options *given, struct access *ret, struct error *err)
{
	int status = given->mode ? parse_mode(given->mode, &ret->mode, err) : STATUS_OK;

	if (status || !given->group)
		return status;
	return parse_group(given->group, &ret->group, err);
}

int serve_options_make(const struct serve_options *given, bool command, struct server_options *ret,
	struct error *err)
{
	struct server_options options = server_defaults;
	unsigned cpus = process_cpus();
	int status;

	options.decoders = given->decoders       ? (unsigned)given->decoders
			   : cpus < DECODERS_MAX ? cpus
						 : DECODERS_MAX;
	options.seats = given->seats ? (unsigned)given->seats : server_default_seats();
	options.requests = given->requests;
	options.cache = given->cache;
	options.fresh_ns = given->fresh;
	options.isolate = given->isolate;
	options.allow_degraded = given->allow_degraded;
	set_limits(given, &options);
	status = set_access(given, &options.access, err);
	if (status)
		return status;
	status = command && !given->name_space
			 ? own_namespace(&options.space, err)
			 : namespace_parse(given->name_space, &options.space, err);
	if (status)
		return status;
	*ret = options;
	return STATUS_OK;
}
