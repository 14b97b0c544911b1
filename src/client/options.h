/*
 * The options of a request, as they are public and as they lie in HEAD: from `scale` to `resample`
 * the same bytes.
 */
#pragma once

#include "base/error.h"
#include "exchange/request_options.h"
#include "shmsem.h"

#include <stddef.h>
#include <string.h>

#define OPTIONS_BEGIN offsetof(struct shmsem_request, scale)
#define OPTIONS_GIVEN (sizeof(struct shmsem_request) - OPTIONS_BEGIN) /* with what is reserved */
#define OPTIONS_SIZE  (offsetof(struct shmsem_request, resample) + 1 - OPTIONS_BEGIN)

#define OPTION_ALIKE(field)                                                       \
	_Static_assert(offsetof(struct shmsem_request, field) - OPTIONS_BEGIN ==  \
				       offsetof(struct wire_options, field) &&    \
			       sizeof(((struct shmsem_request *)0)->field) ==     \
				       sizeof(((struct wire_options *)0)->field), \
		"options of a request and of the wire")

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

_Static_assert((int)WIRE_STRICT == (int)SHMSEM_STRICT, "the flags");
_Static_assert((int)WIRE_LENIENT == (int)SHMSEM_LENIENT, "the flags");
_Static_assert((int)WIRE_DRAFT == (int)SHMSEM_DRAFT, "the flags");
_Static_assert((int)WIRE_CROP_CENTRED == (int)SHMSEM_CROP_CENTRED, "the flags");
_Static_assert(WIRE_LAYOUT_MAX == SHMSEM_BGR, "the layouts");
_Static_assert(WIRE_RESAMPLE_MAX == SHMSEM_LANCZOS, "the filters");

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
	return request_options_check(&options, err);
}
