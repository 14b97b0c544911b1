/*
 * The options of a request, as they are public and as they lie in HEAD: from `scale` to `resample`
 * the same bytes.
 */
#pragma once

#include "base/error.h"
#include "exchange/wire.h"
#include "shmsem.h"

#include <stddef.h>
#include <string.h>

#define OPTIONS_BEGIN offsetof(struct shmsem_request, scale)
#define OPTIONS_GIVEN (sizeof(struct shmsem_request) - OPTIONS_BEGIN) /* with what is reserved */
#define OPTIONS_SIZE  (offsetof(struct shmsem_request, resample) + 1 - OPTIONS_BEGIN)

#define OPTION_ALIKE(field)                                                        \
	_Static_assert(offsetof(struct shmsem_request, field) - OPTIONS_BEGIN ==   \
				       offsetof(struct image_options, field) &&    \
			       sizeof(((struct shmsem_request *)0)->field) ==      \
				       sizeof(((struct image_options *)0)->field), \
		"options of a request and of an image")

OPTION_ALIKE(scale);
OPTION_ALIKE(channels);
OPTION_ALIKE(layout);
OPTION_ALIKE(flags);
OPTION_ALIKE(fit_width);
OPTION_ALIKE(fit_height);
OPTION_ALIKE(width);
OPTION_ALIKE(height);
OPTION_ALIKE(shorter);
OPTION_ALIKE(longer);
OPTION_ALIKE(crop_x);
OPTION_ALIKE(crop_y);
OPTION_ALIKE(crop_width);
OPTION_ALIKE(crop_height);
OPTION_ALIKE(resample);

#define NUMBER_ALIKE(name)                                      \
	_Static_assert((int)SHMSEM_##name == (int)IMAGE_##name, \
		"numbers of the public header and of an image")

NUMBER_ALIKE(NATIVE_DEPTH);
NUMBER_ALIKE(KEEP_ORIENTATION);
NUMBER_ALIKE(PREMULTIPLY);
NUMBER_ALIKE(STRICT);
NUMBER_ALIKE(LENIENT);
NUMBER_ALIKE(DRAFT);
NUMBER_ALIKE(CROP_CENTRED);
NUMBER_ALIKE(KEEP_CMYK);
NUMBER_ALIKE(BICUBIC);
NUMBER_ALIKE(BOX);
NUMBER_ALIKE(BILINEAR);
NUMBER_ALIKE(LANCZOS);
_Static_assert((int)SHMSEM_RGB == (int)IMAGE_LAYOUT_RGB, "layouts");
_Static_assert((int)SHMSEM_BGR == (int)IMAGE_LAYOUT_BGR, "layouts");

static inline struct wire_options options_of(const struct shmsem_request *request)
{
	struct wire_options options = {0};

	memcpy(&options, (const char *)request + OPTIONS_BEGIN, OPTIONS_SIZE);
	return options;
}

static inline void options_ask(struct shmsem_request *request, const struct wire_options *options)
{
	memcpy((char *)request + OPTIONS_BEGIN, options, OPTIONS_SIZE);
}

/* Whether a name of that many bytes can be asked for; STATUS_USAGE if not. */
static inline int name_length_check(size_t length, struct error *err)
{
	if (length <= WIRE_NAME_MAX)
		return STATUS_OK;
	return error_set(err, STATUS_USAGE, "a name of %zu bytes is over the limit of %d", length,
		WIRE_NAME_MAX);
}

/* Whether that may be asked; STATUS_USAGE if not. */
static inline int options_check(const struct shmsem_request *given, struct error *err)
{
	static const char none[sizeof given->reserved];
	const struct wire_options options = options_of(given);

	if (!given->name || !given->name[0])
		return error_set(err, STATUS_USAGE, "the name is empty");
	if (name_length_check(strlen(given->name), err))
		return STATUS_USAGE;
	if (memcmp(given->reserved_bytes, none, sizeof given->reserved_bytes) != 0 ||
		memcmp(given->reserved, none, sizeof given->reserved) != 0)
		return error_set(err, STATUS_USAGE,
			"the request has fields that this library does not know");
	return image_options_check(&options.image, err);
}
