/* Which options of fetch contradict each other, and what they mean but for the image asked for. */
#include "cli/fetch.h"

#include "dynload/libjansson.h"

#include <string.h>

/* The first option given that the classic exchange cannot express, or NULL. */
static const char *find_beyond_classic(const struct fetch_options *given)
{
	const struct {
		const char *option;
		bool given;
	} options[] = {
		{"--server-user", given->server_user},
		{"--names", given->names},
		{"--info", given->info},
		{"--icc", given->icc},
		{"--srgb", given->srgb},
		{"--scale", given->scale},
		{"--fit", given->fit},
		{"--size", given->size},
		{"--shorter", given->shorter},
		{"--longer", given->longer},
		{"--resample", given->resample},
		{"--crop", given->crop},
		{"--draft", given->draft},
		{"--channels", given->channels},
		{"--layout", given->layout},
		{"--depth", given->depth},
		{"--premultiply", given->premultiply},
		{"--no-orient", given->keep_orientation},
		{"--strict", given->strict},
		{"--lenient", given->lenient},
		{"--jobs", given->at_once},
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (options[i].given)
			return options[i].option;
	return NULL;
}

static bool is(const char *text, const char *word)
{
	return text && !strcmp(text, word);
}

/* Contradictions in what is wanted of the image. */
static const char *find_wrong_request(const struct fetch_options *given)
{
	bool scaled = given->scale || given->fit;
	bool sized = given->size || given->shorter || given->longer;
	const struct {
		bool wrong;
		const char *says;
	} rules[] = {
		{given->scale && given->fit, "--scale and --fit both say how large"},
		{!!given->size + !!given->shorter + !!given->longer > 1,
			"--size, --shorter and --longer exclude each other"},
		{scaled && sized, "--scale and --fit go with no exact size"},
		{scaled && given->crop,
			"--scale and --fit go with no --crop; say how large with --size"},
		{given->resample && !sized, "--resample is for --size, --shorter and --longer"},
		{given->draft && !sized, "--draft is for --size, --shorter and --longer"},
		{given->strict && given->lenient, "--strict and --lenient are opposites"},
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].wrong)
			return rules[i].says;
	return NULL;
}

/* Contradictions in what becomes of it. */
static const char *find_wrong_output(const struct fetch_options *given, size_t words)
{
	bool writes = given->output || given->type || given->icc;
	bool fetches = writes || given->preview || given->random || given->info || given->count;
	bool streams = is(given->output, "-");
	const struct {
		bool wrong;
		const char *says;
	} rules[] = {
		{!words && (given->create || (!given->names && !given->random)),
			"which image? 'shmsem fetch NAME'; --names lists what there is"},
		{given->preview && (given->json || streams),
			"--preview wants standard output for itself; leave out -J and -o -"},
		{given->preview && is(given->layout, "bgr"),
			"--preview shows red first; leave out --layout"},
		{given->names && fetches, "--names fetches nothing; ask for it alone"},
		{given->info && (writes || given->preview),
			"--info has no pixels to write or show"},
		{given->srgb && !given->output && !given->preview,
			"--srgb is for -o and --preview"},
		{given->srgb && (given->premultiply || given->layout),
			"--srgb wants straight alpha and red first; leave out --premultiply and "
			"--layout"},
		{given->seed && !given->random, "--seed is for --random"},
		{given->json && streams, "-J and -o - both want standard output"},
		{given->quality && !writes, "--quality is for -o"},
	};

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (rules[i].wrong)
			return rules[i].says;
	return NULL;
}

/* Before anything is done. */
static int check(const struct fetch_options *given, size_t words, struct error *err)
{
	const char *option = given->create ? find_beyond_classic(given) : NULL, *says;

	if (option)
		return error_set(err, STATUS_USAGE,
			"%s: a classic responder, as --create wants one, knows only names", option);
	says = find_wrong_output(given, words);
	if (!says)
		says = find_wrong_request(given);
	return says ? error_set(err, STATUS_USAGE, "%s", says) : STATUS_OK;
}

static int choose_server(
	const char *user, struct shmsem_connect_options *connect, struct error *err)
{
	struct shmsem_error error;

	if (shmsem_server_user(connect, user, &error))
		return error_set(err, error.status, "--server-user: %s", error.message);
	return STATUS_OK;
}

int fetch_understand(
	const struct fetch_options *given, size_t words, struct fetch_plan *ret, struct error *err)
{
	struct fetch_plan plan = {
		.connect = {.name_space = given->name_space,
			.wait_ns = given->wait,
			.timeout_ns = given->timeout,
			.flags = SHMSEM_GUARD_SIGBUS},
		.icc = given->icc,
		.at_once = given->at_once ? (unsigned)given->at_once : 1,
		.info = given->info,
		.preview = given->preview,
		.srgb = given->srgb,
		.say_orientation = given->keep_orientation,
	};
	int status = check(given, words, err);

	if (status)
		return status;
	status = given->json ? libjansson_load(err) : STATUS_OK;
	if (status)
		return status;
	status = given->server_user ? choose_server(given->server_user, &plan.connect, err)
				    : STATUS_OK;
	if (status)
		return status;
	status = fetch_make_request(given, &plan.request, err);
	if (status)
		return status;
	*ret = plan;
	return STATUS_OK;
}
