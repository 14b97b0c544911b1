#include "exchange/request_options.h"

#include <stdbool.h>

static int check_values(const struct wire_options *options, struct error *err)
{
	unsigned scale = options->scale, channels = options->channels;

	if (scale > 8 || (scale & (scale - 1)))
		return error_set(
			err, STATUS_USAGE, "the scale is %u; 1, 2, 4 and 8 are possible", scale);
	if (channels == 2 || channels > 4)
		return error_set(err, STATUS_USAGE,
			"%u channels were asked for; 0, 1, 3 and 4 are possible", channels);
	if (options->layout > WIRE_LAYOUT_MAX)
		return error_set(err, STATUS_USAGE, "there is no layout %u", options->layout);
	if (options->resample > WIRE_RESAMPLE_MAX)
		return error_set(err, STATUS_USAGE, "there is no filter %u", options->resample);
	if (options->flags & WIRE_STRICT && options->flags & WIRE_LENIENT)
		return error_set(err, STATUS_USAGE, "strict and lenient exclude each other");
	return STATUS_OK;
}

int request_options_check(const struct wire_options *options, struct error *err)
{
	bool exact = options->width || options->height;
	bool sized = exact || options->shorter || options->longer;
	bool placed = options->crop_x || options->crop_y;
	bool centred = options->flags & WIRE_CROP_CENTRED;
	bool cropped = options->crop_width || options->crop_height || placed || centred;
	bool scaled = options->scale > 1 || options->fit_width || options->fit_height;

	if (exact + !!options->shorter + !!options->longer > 1)
		return error_set(err, STATUS_USAGE,
			"a size, a shorter side and a longer side exclude each other");
	if (scaled && (sized || cropped))
		return error_set(err, STATUS_USAGE, "a %s goes neither with a size nor with a crop",
			options->scale > 1 ? "scale" : "fit");
	if (cropped && (!options->crop_width || !options->crop_height))
		return error_set(err, STATUS_USAGE, "a crop has a width and a height");
	if (centred && placed)
		return error_set(err, STATUS_USAGE, "a centred crop has no position");
	if (options->flags & WIRE_DRAFT && !sized)
		return error_set(err, STATUS_USAGE, "a draft is for a size that is asked for");
	return check_values(options, err);
}
