/*
 * The parts of shmsem fetch: what is wanted, who gets it, what came of it.
 */
#pragma once

#include "base/error.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "shmsem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_COMMAND "shmsem fetch"

/* The options as they are given. */
struct fetch_options {
	const char *name_space, *server_user, *output, *type, *icc;
	const char *scale, *fit, *size, *crop, *resample, *channels, *layout, *depth, *seed;
	uint64_t timeout, wait, count, at_once, quality, shorter, longer;
	bool json, names, random, info, preview, create, quiet;
	bool premultiply, srgb, keep_orientation, strict, lenient, draft;
};

/* What the options say. */
struct fetch_plan {
	struct shmsem_connect_options connect;
	struct shmsem_request request; /* but for the name */
	struct output output;
	const char *icc;  /* file to write the colour profile to, or NULL */
	unsigned at_once; /* connections */
	bool patterns;    /* among the words */
	bool info;        /* ask what is known instead of fetching */
	bool say_orientation;
	bool preview;
	bool srgb; /* colours converted by the image's profile */
};

/* Names, each once; heap memory. */
struct fetch_names {
	char **names;
	size_t count;
};

/* Which names to ask for, one after the other, as indices. */
struct fetch_draw {
	size_t *wanted;
	size_t count;
};

/* What came of asking once. */
struct fetch_result {
	int status;
	uint64_t took; /* ns */
	struct shmsem_info info;
	char *message; /* why not; heap memory */
};

/* What is shared by all who ask. */
struct fetch_work {
	const struct fetch_plan *plan;
	const struct fetch_names *names;
	const struct fetch_draw *draw;
	struct fetch_result *results; /* draw->count of them */
	struct progress progress;
	_Atomic bool *said; /* of each name: its failure, or what else there was to say */
	_Atomic size_t next;
	_Atomic bool stop; /* nobody reads our output any more */
	_Atomic bool gone; /* there is no server any more, which was said */
};

/* Says what contradicts itself before anything is done; all of the plan but for its output. `words`
 * is how many names are given. */
int fetch_understand(
	const struct fetch_options *given, size_t words, struct fetch_plan *ret, struct error *err);

/* What is asked of every image, but for its name. */
int fetch_make_request(
	const struct fetch_options *given, struct shmsem_request *ret, struct error *err);

/* Connects; the command says that it waits if it has to wait for a server. */
int fetch_connect(
	const struct fetch_plan *plan, const char *command, struct shmsem **ret, struct error *err);

/* Every name that the server has. */
int fetch_names_all(struct shmsem *client, struct fetch_names *ret, struct error *err);

bool fetch_has_globs(char **words, size_t count);

/* The words as names; those with wildcards, and with `strictly` all, stand for what they match in
 * `all`. STATUS_NOT_FOUND if one matches nothing. `all` is NULL if nobody knows what there is: then
 * they are names as they stand. */
int fetch_names_match(char **words, size_t count, const struct fetch_names *all, bool strictly,
	struct fetch_names *ret, struct error *err);
void fetch_names_release(struct fetch_names *names);

/* Each name in its turn, `rounds` times; or `draws` of them at random. */
int fetch_draw_all(size_t names, uint64_t rounds, struct fetch_draw *ret, struct error *err);
int fetch_draw_random(size_t names, uint64_t draws, const uint64_t *seed, struct fetch_draw *ret,
	struct error *err);
void fetch_draw_release(struct fetch_draw *draw);

int fetch_work_init(struct fetch_work *ret, const struct fetch_plan *plan,
	const struct fetch_names *names, const struct fetch_draw *draw, struct error *err);
void fetch_work_release(struct fetch_work *work);

/* Notes what came of draw number `at`, and says what there is to say. */
void fetch_done(struct fetch_work *work, size_t at, int status, const struct error *err);

/* Writes and shows an image as the plan says; `check` and `held` as output_write has them. */
int fetch_put(const struct fetch_plan *plan, const char *name, const struct encode_image *image,
	int (*check)(const void *held, struct error *err), const void *held, struct error *err);

/* Says why there is no image of that name, as it is shown. Where the image is the cause, most messages
 * have its name, or that of its file, already. */
void fetch_say_failure(struct progress *progress, const char *name, const char *text);

/* Asks a classic responder for all of it, creating the objects of the exchange. A signal that ends
 * us does so after they are unlinked. */
int fetch_create(struct fetch_work *work, struct error *err);

/* Asks for all of it: over `client`, and over as many connections more as the plan says. */
void fetch_all(struct fetch_work *work, struct shmsem *client);

/* Rows, a paragraph each, or names, to standard output. */
int fetch_print_rows(const struct fetch_work *work, struct error *err);
void fetch_print_info(const struct fetch_work *work);
void fetch_print_names(const struct fetch_names *names);

/* The same as JSON. */
int fetch_json_images(const struct fetch_work *work, struct error *err);
int fetch_json_names(const struct fetch_names *names, struct error *err);

/* Of draw number `at`. */
const char *fetch_name_of(const struct fetch_work *work, size_t at);

const char *fetch_format_text(unsigned format);
bool fetch_has_chromaticities(const struct shmsem_info *info);

/* What failed, all in all, on standard error; the command's status. */
int fetch_summary(const struct fetch_work *work);
