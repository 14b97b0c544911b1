/* What the options of fetch ask of an image: the request of shmsem.h. */
#include "cli/fetch.h"
#include "cli/fetch_rows.h"

#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 65535

struct word {
	const char *text;
	uint8_t value;
};

static const struct word scales[] = {{"1", 1}, {"1/2", 2}, {"1/4", 4}, {"1/8", 8}, {0}};
static const struct word channels[] = {{"gray", 1}, {"rgb", 3}, {"rgba", 4}, {0}};
static const struct word layouts[] = {{"rgb", SHMSEM_RGB}, {"bgr", SHMSEM_BGR}, {0}};
static const struct word depths[] = {{"8", 0}, {"native", SHMSEM_NATIVE_DEPTH}, {0}};
static const struct word filters[] = {{"box", SHMSEM_BOX}, {"bilinear", SHMSEM_BILINEAR},
	{"bicubic", SHMSEM_BICUBIC}, {"lanczos", SHMSEM_LANCZOS}, {0}};

const struct option_values fetch_values[] = {{"scale", "1/2|1/4|1/8"},
	{"channels", "gray|rgb|rgba"}, {"layout", "rgb|bgr"}, {"depth", "8|native"},
	{"resample", "box|bilinear|bicubic|lanczos"}, {"type", "png|jpeg|pnm|qoi|raw"}, {0}};

#define GIVEN(field) offsetof(struct fetch_options, field)
#define FIELD(name)  offsetof(struct shmsem_request, name)

/* Options whose words stand for a number, which is added to a byte of the request. */
static const struct choice {
	const char *option;
	size_t given, field;
	const struct word *words;
} choices[] = {
	{"--scale", GIVEN(scale), FIELD(scale), scales},
	{"--channels", GIVEN(channels), FIELD(channels), channels},
	{"--layout", GIVEN(layout), FIELD(layout), layouts},
	{"--depth", GIVEN(depth), FIELD(flags), depths},
	{"--resample", GIVEN(resample), FIELD(resample), filters},
};

static const struct flag {
	size_t given;
	uint8_t flag;
} flags[] = {
	{GIVEN(premultiply), SHMSEM_PREMULTIPLY},
	{GIVEN(keep_orientation), SHMSEM_KEEP_ORIENTATION}, {GIVEN(strict), SHMSEM_STRICT},
	{GIVEN(lenient), SHMSEM_LENIENT}, {GIVEN(draft), SHMSEM_DRAFT},
	{GIVEN(srgb), SHMSEM_KEEP_CMYK}, /* to be converted by its profile */
};

/* STATUS_USAGE naming all words if the one given is none of them. */
static int choose(const struct choice *choice, const char *text, uint8_t *ret, struct error *err)
{
	const struct word *words = choice->words;
	char all[128] = "";

	for (size_t i = 0; words[i].text; i++) {
		if (!strcmp(text, words[i].text)) {
			*ret = words[i].value;
			return STATUS_OK;
		}
		if (i)
			strcat(all, words[i + 1].text ? ", " : " or ");
		strcat(all, words[i].text);
	}
	return error_set(err, STATUS_USAGE, "%s: '%s' is not %s", choice->option, text, all);
}

static int parse_choices(
	const struct fetch_options *given, struct shmsem_request *request, struct error *err)
{
	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
		const char *text = *(
			const char *const *)(const void *)((const char *)given + choices[i].given);
		uint8_t value = 0;

		if (!text)
			continue;
		if (choose(&choices[i], text, &value, err))
			return err->status;
		((uint8_t *)request)[choices[i].field] |= value;
	}
	return STATUS_OK;
}

static void add_flags(const struct fetch_options *given, struct shmsem_request *request)
{
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (*(const bool *)(const void *)((const char *)given + flags[i].given))
			request->flags |= flags[i].flag;
}

/* Numbers of pixels with these separators between them: "x++" is WxH+X+Y. False for anything else. */
static bool read_numbers(const char *text, const char *separators, uint32_t *const *ret)
{
	for (size_t i = 0;; i++) {
		size_t digits = strspn(text, "0123456789");
		unsigned long value = strtoul(text, NULL, 10);

		if (digits < 1 || digits > 5 || value > SIDE_MAX)
			return false;
		*ret[i] = (uint32_t)value;
		text += digits;
		if (!separators[i])
			return !*text;
		if (*text++ != separators[i])
			return false;
	}
}

static int parse_fit(const char *text, struct shmsem_request *request, struct error *err)
{
	if (read_numbers(text, "x", (uint32_t *[]){&request->fit_width, &request->fit_height}) &&
		request->fit_width && request->fit_height)
		return STATUS_OK;
	return error_set(err, STATUS_USAGE,
		"--fit: '%s' is not WxH such as 640x480, of 1 to %d pixels each", text, SIDE_MAX);
}

static int parse_exact_size(const char *text, struct shmsem_request *request, struct error *err)
{
	uint32_t *const both[] = {&request->width, &request->height};
	bool fits;

	if (text[0] == 'x')
		fits = read_numbers(text + 1, "", both + 1) && request->height;
	else if (!strchr(text, 'x'))
		fits = read_numbers(text, "", both) && request->width;
	else
		fits = read_numbers(text, "x", both) && request->width && request->height;
	if (fits)
		return STATUS_OK;
	return error_set(err, STATUS_USAGE,
		"--size: '%s' is not WxH, W or xH such as 224x224, of 1 to %d pixels each", text,
		SIDE_MAX);
}

static int parse_crop(const char *text, struct shmsem_request *request, struct error *err)
{
	uint32_t *const all[] = {
		&request->crop_width, &request->crop_height, &request->crop_x, &request->crop_y};
	bool placed = strchr(text, '+');

	if (!placed)
		request->flags |= SHMSEM_CROP_CENTRED;
	if (read_numbers(text, placed ? "x++" : "x", all) && request->crop_width &&
		request->crop_height)
		return STATUS_OK;
	return error_set(err, STATUS_USAGE,
		"--crop: '%s' is not WxH or WxH+X+Y such as 224x224+16+0, of at most %d pixels "
		"each",
		text, SIDE_MAX);
}

int fetch_make_request(
	const struct fetch_options *given, struct shmsem_request *ret, struct error *err)
{
	const struct {
		const char *text;
		int (*parse)(const char *text, struct shmsem_request *request, struct error *err);
	} texts[] = {
		{given->fit, parse_fit},
		{given->size, parse_exact_size},
		{given->crop, parse_crop},
	};
	struct shmsem_request request = {
		.shorter = (uint32_t)given->shorter, .longer = (uint32_t)given->longer};
	int status = parse_choices(given, &request, err);

	add_flags(given, &request);
	for (size_t i = 0; !status && i < sizeof texts / sizeof *texts; i++)
		if (texts[i].text)
			status = texts[i].parse(texts[i].text, &request, err);
	if (status)
		return status;
	*ret = request;
	return STATUS_OK;
}
