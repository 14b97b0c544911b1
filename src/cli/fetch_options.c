/* What the options of fetch mean, and which of them contradict each other. */
#include "cli/fetch.h"

#include "base/number.h"

#include <string.h>

#define SIDE_MAX 65535

/* Where `text` is among `words`; STATUS_USAGE naming them all if it is not. */
static int choose(const char *text, const char *option, const char *const *words, unsigned *ret,
	struct error *err)
{
	char all[128] = "";

	for (unsigned i = 0; words[i]; i++) {
		if (!strcmp(text, words[i])) {
			*ret = i;
			return STATUS_OK;
		}
		if (i)
			strcat(all, words[i + 1] ? ", " : " or ");
		strcat(all, words[i]);
	}
	return error_set(err, STATUS_USAGE, "%s: '%s' is not %s", option, text, all);
}

static int parse_fit(const char *text, struct shmsem_request *request, struct error *err)
{
	const char *cross = strchr(text, 'x');
	char width[16];
	uint64_t w, h;

	if (!cross || (size_t)(cross - text) >= sizeof width)
		return error_set(err, STATUS_USAGE, "--fit: '%s' is not WxH such as 640x480", text);
	memcpy(width, text, (size_t)(cross - text));
	width[cross - text] = '\0';
	if (parse_number(width, "--fit", 1, SIDE_MAX, &w, err) ||
		parse_number(cross + 1, "--fit", 1, SIDE_MAX, &h, err))
		return err->status;
	request->fit_width = (uint32_t)w;
	request->fit_height = (uint32_t)h;
	return STATUS_OK;
}

static int make_request(
	const struct fetch_options *given, struct shmsem_request *ret, struct error *err)
{
	static const char *const scales[] = {"1", "1/2", "1/4", "1/8", NULL};
	static const char *const channels[] = {"gray", "rgb", "rgba", NULL};
	static const char *const layouts[] = {"rgb", "bgr", NULL};
	static const char *const depths[] = {"8", "native", NULL};
	static const uint8_t channel_counts[] = {1, 3, 4};
	struct shmsem_request request = {0};
	unsigned choice = 0;
	int status = STATUS_OK;

	if (given->scale && given->fit)
		return error_set(err, STATUS_USAGE, "--scale and --fit both say how large");
	if (given->strict && given->lenient)
		return error_set(err, STATUS_USAGE, "--strict and --lenient are opposites");
	if (given->scale && !(status = choose(given->scale, "--scale", scales, &choice, err)))
		request.scale = (uint8_t)(1U << choice);
	if (!status && given->channels &&
		!(status = choose(given->channels, "--channels", channels, &choice, err)))
		request.channels = channel_counts[choice];
	if (!status && given->layout &&
		!(status = choose(given->layout, "--layout", layouts, &choice, err)))
		request.layout = (uint8_t)(choice ? SHMSEM_BGR : SHMSEM_RGB);
	if (!status && given->depth &&
		!(status = choose(given->depth, "--depth", depths, &choice, err)))
		request.flags |= choice ? SHMSEM_NATIVE_DEPTH : 0;
	if (!status && given->fit)
		status = parse_fit(given->fit, &request, err);
	if (status)
		return status;
	request.flags |= (uint8_t)((given->premultiply ? SHMSEM_PREMULTIPLY : 0) |
				   (given->keep_orientation ? SHMSEM_KEEP_ORIENTATION : 0) |
				   (given->strict ? SHMSEM_STRICT : 0) |
				   (given->lenient ? SHMSEM_LENIENT : 0));
	*ret = request;
	return STATUS_OK;
}

/* The option that the classic exchange has no words for, or NULL. */
static const char *classic_lacks(const struct fetch_options *given)
{
	return given->names              ? "--names"
	       : given->info             ? "--info"
	       : given->icc              ? "--icc"
	       : given->srgb             ? "--srgb"
	       : given->scale            ? "--scale"
	       : given->fit              ? "--fit"
	       : given->channels         ? "--channels"
	       : given->layout           ? "--layout"
	       : given->depth            ? "--depth"
	       : given->premultiply      ? "--premultiply"
	       : given->keep_orientation ? "--no-orient"
	       : given->strict           ? "--strict"
	       : given->lenient          ? "--lenient"
	       : given->at_once          ? "--jobs"
					 : NULL;
}

/* Options that contradict each other, before anything is done. */
static int check(const struct fetch_options *given, size_t words, struct error *err)
{
	bool writes = given->output || given->type || given->icc;

	if (given->create) {
		const char *option = classic_lacks(given);

		if (option)
			return error_set(err, STATUS_USAGE,
				"%s: a classic responder, as --create wants one, knows only names",
				option);
	}
	if (!words && (given->create || (!given->names && !given->random)))
		return error_set(err, STATUS_USAGE,
			"which image? 'shmsem fetch NAME'; --names lists what there is");
	if (given->preview && (given->json || (given->output && !strcmp(given->output, "-"))))
		return error_set(err, STATUS_USAGE,
			"--preview wants standard output for itself; leave out -J and -o -");
	if (given->preview && given->layout && !strcmp(given->layout, "bgr"))
		return error_set(
			err, STATUS_USAGE, "--preview shows red first; leave out --layout");
	if (given->names &&
		(writes || given->preview || given->random || given->info || given->count))
		return error_set(err, STATUS_USAGE, "--names fetches nothing; ask for it alone");
	if (given->info && (writes || given->preview))
		return error_set(err, STATUS_USAGE, "--info has no pixels to write or show");
	if (given->srgb && !given->output && !given->preview)
		return error_set(err, STATUS_USAGE, "--srgb is for -o and --preview");
	if (given->srgb && (given->premultiply || given->layout))
		return error_set(err, STATUS_USAGE,
			"--srgb wants straight alpha and red first; leave out --premultiply and "
			"--layout");
	if (given->seed && !given->random)
		return error_set(err, STATUS_USAGE, "--seed is for --random");
	if (given->json && given->output && !strcmp(given->output, "-"))
		return error_set(err, STATUS_USAGE, "-J and -o - both want standard output");
	if (given->quality && !writes)
		return error_set(err, STATUS_USAGE, "--quality is for -o");
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

	if (!status)
		status = make_request(given, &plan.request, err);
	if (!status)
		*ret = plan;
	return status;
}
