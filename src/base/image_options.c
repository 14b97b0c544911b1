#include "base/image_options.h"

static int check_values(const struct image_options *options, struct error *err)
{
	unsigned scale = options->scale, channels = options->channels;

	if (scale > 8 || (scale & (scale - 1)))
		return error_set(
			err, STATUS_USAGE, "the scale is %u; 1, 2, 4 and 8 are possible", scale);
	if (channels == 2 || channels > 4)
		return error_set(err, STATUS_USAGE,
			"%u channels were asked for; 0, 1, 3 and 4 are possible", channels);
	if (options->layout > IMAGE_LAYOUT_BGR)
		return error_set(err, STATUS_USAGE, "there is no layout %u", options->layout);
	if (options->resample > IMAGE_LANCZOS)
		return error_set(err, STATUS_USAGE, "there is no filter %u", options->resample);
	if (options->flags & IMAGE_STRICT && options->flags & IMAGE_LENIENT)
		return error_set(err, STATUS_USAGE, "strict and lenient exclude each other");
	return STATUS_OK;
}

int image_options_check(const struct image_options *options, struct error *err)
{
	bool sides = options->width || options->height, sized = image_options_sized(options);
	bool cropped = image_options_cropped(options);
	bool scaled = options->scale > 1 || options->fit_width || options->fit_height;

	if (sides + !!options->shorter + !!options->longer > 1)
		return error_set(err, STATUS_USAGE,
			"a size, a shorter side and a longer side exclude each other");
	if (scaled && (sized || cropped))
		return error_set(err, STATUS_USAGE, "a %s goes neither with a size nor with a crop",
			options->scale > 1 ? "scale" : "fit");
	if (cropped && (!options->crop_width || !options->crop_height))
		return error_set(err, STATUS_USAGE, "a crop has a width and a height");
	if (options->flags & IMAGE_CROP_CENTRED && (options->crop_x || options->crop_y))
		return error_set(err, STATUS_USAGE, "a centred crop has no position");
	if (options->flags & IMAGE_DRAFT && !sized)
		return error_set(err, STATUS_USAGE, "a draft is for a size that is asked for");
	return check_values(options, err);
}
