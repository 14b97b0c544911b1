/* shmsem fetch: images by name, through libshmsem and its public header alone. */
#include "cli/commands.h"

#include "base/number.h"
#include "base/text.h"
#include "cli/fetch.h"
#include "cli/fetch_rows.h"
#include "cli/preview.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE_MAX 256
#define DRAWS_MAX   1000000

#define ROW(field) offsetof(struct fetch_options, field)

static const struct option_row rows[] = {
	FETCH_SERVER_ROWS,
	{'o', "output", "FILE|DIR|-", "write the image there; - is standard output", OPTION_TEXT,
		ROW(output), 0, 0, NULL},
	{'t', "type", "FORMAT",
		"what to write: png, jpeg, pnm, qoi or raw (default: by the file's name)",
		OPTION_TEXT, ROW(type), 0, 0, NULL},
	{0, "quality", "N", "of a JPEG, 1 to 100 (default: 90)", OPTION_NUMBER, ROW(quality), 1,
		100, NULL},
	{0, "icc", "FILE", "write the image's colour profile there", OPTION_TEXT, ROW(icc), 0, 0,
		NULL},
	{0, "srgb", NULL, "what is written or shown, converted to sRGB by the image's profile",
		OPTION_FLAG, ROW(srgb), 0, 0, NULL},
	FETCH_REQUEST_ROWS,
	{0, "info", NULL, "say what is known of the image, without decoding it", OPTION_FLAG,
		ROW(info), 0, 0, NULL},
	{0, "preview", NULL, "show the image in the terminal", OPTION_FLAG, ROW(preview), 0, 0,
		NULL},
	{0, "names", NULL, "list the names that the server has", OPTION_FLAG, ROW(names), 0, 0,
		NULL},
	{0, "random", NULL, "draw names at random, from those given or all", OPTION_FLAG,
		ROW(random), 0, 0, NULL},
	{'c', "count", "N", "ask N times", OPTION_NUMBER, ROW(count), 1, DRAWS_MAX, NULL},
	{0, "seed", "N", "repeat the draw that had this seed", OPTION_TEXT, ROW(seed), 0, 0, NULL},
	{'j', "jobs", "N", "ask for N images at once, over as many seats", OPTION_NUMBER,
		ROW(at_once), 1, AT_ONCE_MAX, NULL},
	{0, "create", NULL, "create the objects, for a classic responder that joins", OPTION_FLAG,
		ROW(create), 0, 0, NULL},
	{0, "timeout", "SEC", "give up an image after SEC (default: 30)", OPTION_DURATION,
		ROW(timeout), 0, 0, NULL},
	{0, "wait", "SEC", "wait so long for a server to appear", OPTION_DURATION, ROW(wait), 0, 0,
		NULL},
	{'J', "json", NULL, "print JSON", OPTION_FLAG, ROW(json), 0, 0, NULL},
	{'q', "quiet", NULL, "print no rows, only what failed", OPTION_FLAG, ROW(quiet), 0, 0,
		NULL},
	{0},
};

/* Once it is known how many images there are: where they go. */
static int make_output(
	const struct fetch_options *given, size_t count, struct fetch_plan *plan, struct error *err)
{
	int status = output_parse(
		given->output, given->type, plan->patterns || count > 1, &plan->output, err);

	if (status)
		return status;
	if (plan->output.kind == OUTPUT_FILE && count > 1)
		return error_set(err, STATUS_USAGE,
			"-o: several images do not go into one file; name a folder, '%s/'",
			given->output);
	plan->output.encode.quality = (int)given->quality;
	if (plan->request.layout == SHMSEM_BGR && plan->output.kind != OUTPUT_NONE &&
		plan->output.format != ENCODE_RAW)
		return error_set(err, STATUS_USAGE,
			"--layout bgr: image files have red first; write raw with -t");
	if (given->premultiply && plan->output.kind != OUTPUT_NONE &&
		plan->output.format != ENCODE_RAW)
		return error_set(err, STATUS_USAGE,
			"--premultiply: image files keep colours apart from alpha; write raw with "
			"-t");
	if (given->quality && plan->output.kind != OUTPUT_NONE &&
		plan->output.format != ENCODE_JPEG)
		return error_set(
			err, STATUS_USAGE, "--quality is that of a JPEG; write one with -t jpeg");
	if (plan->icc && count > 1)
		return error_set(err, STATUS_USAGE, "--icc: one file is for one image");
	/* Standard output takes them one after the other. */
	if (plan->output.kind == OUTPUT_STREAM || plan->preview)
		plan->at_once = 1;
	return STATUS_OK;
}

/* The names that the words stand for; what the server has is asked only where that matters. */
static int find_names(const struct fetch_options *given, struct shmsem *client, char **words,
	size_t count, struct fetch_names *ret, struct error *err)
{
	struct fetch_names all = {0};
	int status = STATUS_OK;

	if (client && (!count || given->names || fetch_has_globs(words, count)))
		status = fetch_names_all(client, &all, err);
	if (status)
		return status;
	if (count) {
		status = fetch_names_match(
			words, count, client ? &all : NULL, given->names, ret, err);
		fetch_names_release(&all);
	} else if (!all.count && given->random) {
		status = error_set(err, STATUS_NOT_FOUND, "the server has no images");
	} else {
		*ret = all;
	}
	return status;
}

static int draw(
	const struct fetch_options *given, size_t names, struct fetch_draw *ret, struct error *err)
{
	uint64_t count = given->count ? given->count : 1, seed = 0;
	int status = STATUS_OK;

	if (!given->random)
		return fetch_draw_all(names, count, ret, err);
	if (given->seed)
		status = parse_number(given->seed, "--seed", 0, UINT64_MAX, &seed, err);
	return status ? status
		      : fetch_draw_random(names, count, given->seed ? &seed : NULL, ret, err);
}

static int print(
	const struct fetch_options *given, const struct fetch_work *work, struct error *err)
{
	if (given->json)
		return fetch_json_images(work, err);
	if (given->quiet || work->plan->output.kind == OUTPUT_STREAM)
		return STATUS_OK;
	if (!work->plan->info)
		return fetch_print_rows(work, err);
	fetch_print_info(work);
	return STATUS_OK;
}

/* Says that there is --preview to somebody at a terminal. */
static void suggest_preview(
	const struct fetch_options *given, const struct fetch_names *names, int status)
{
	char shown[256];

	if (status || given->preview || given->json || given->quiet || given->output ||
		given->info || !preview_possible() || !isatty(STDOUT_FILENO) ||
		!isatty(STDERR_FILENO))
		return;
	fflush(stdout);
	fprintf(stderr, FETCH_COMMAND ": to see it: shmsem fetch%s%s --preview '%s'\n",
		given->name_space ? " -N " : "", given->name_space ? given->name_space : "",
		text_escape(names->names[0], strlen(names->names[0]), shown, sizeof shown));
}

static int do_work(const struct fetch_options *given, struct fetch_work *work,
	struct shmsem *client, struct error *err)
{
	int status = STATUS_OK;

	if (client)
		fetch_all(work, client);
	else
		status = fetch_create(work, err);
	if (status)
		return status;
	status = print(given, work, err);
	return status ? status : fetch_summary(work);
}

static int fetch_drawn(const struct fetch_options *given, struct fetch_plan *plan,
	struct shmsem *client, const struct fetch_names *names, struct fetch_draw *drawn,
	struct error *err)
{
	struct fetch_work work;
	int status = make_output(given, drawn->count, plan, err);

	if (status)
		return status;
	status = fetch_work_init(&work, plan, names, drawn, err);
	if (status)
		return status;
	status = do_work(given, &work, client, err);
	suggest_preview(given, names, status);
	fetch_work_release(&work);
	return status;
}

static int fetch_named(const struct fetch_options *given, struct fetch_plan *plan,
	struct shmsem *client, const struct fetch_names *names, struct error *err)
{
	struct fetch_draw drawn = {0};
	int status = draw(given, names->count, &drawn, err);

	if (!status)
		status = fetch_drawn(given, plan, client, names, &drawn, err);
	fetch_draw_release(&drawn);
	return status;
}

static int use_names(const struct fetch_options *given, struct fetch_plan *plan,
	struct shmsem *client, const struct fetch_names *names, struct error *err)
{
	if (!given->names)
		return fetch_named(given, plan, client, names, err);
	if (given->json)
		return fetch_json_names(names, err);
	fetch_print_names(names);
	return STATUS_OK;
}

static int run(const void *options, int argc, char **argv, struct error *err)
{
	const struct fetch_options *given = options;
	size_t words = (size_t)argc;
	struct fetch_names names = {0};
	struct shmsem *client = NULL; /* none with --create */
	struct fetch_plan plan;
	int status = fetch_understand(given, words, &plan, err);

	if (status)
		return status;
	plan.patterns = !given->create && fetch_has_globs(argv, words);
	/* A wrong word is said before a server is looked for. */
	if (!plan.patterns)
		status = make_output(
			given, given->count > words ? given->count : words, &plan, err);
	if (status)
		return status;
	status = given->create ? STATUS_OK : fetch_connect(&plan, FETCH_COMMAND, &client, err);
	if (status)
		return status;
	status = find_names(given, client, argv, words, &names, err);
	if (!status)
		status = use_names(given, &plan, client, &names, err);
	fetch_names_release(&names);
	shmsem_close(client);
	return status;
}

const struct command command_fetch = {
	.name = "fetch",
	.summary = "get images by name",
	.synopsis = "[OPTION…] NAME…\n[OPTION…] --random [-c N] [NAME…]\n--create [OPTION…] "
		    "NAME…\n--names [-J] [GLOB…]",
	.details = "Asks the server of a namespace for images, which it decodes or has decoded "
		   "already, "
		   "and prints a row for each. A NAME with wildcards stands for what it matches "
		   "there.",
	.options = rows,
	.values = fetch_values,
	.options_size = sizeof(struct fetch_options),
	.run = run,
};
