#include "image/png_colours.h"

#include "dynload/libpng.h"
#include "image/png_codec.h"
#include "image/reader.h"

#include <string.h>

bool png_gamma_is_possible(uint32_t gamma)
{
	return gamma >= 16 && gamma <= 625000000;
}

bool png_chromaticities_are_possible(const int32_t at[8])
{
	for (unsigned i = 0; i < 8; i += 2) {
		int32_t x = at[i], y = at[i + 1];

		if (x < 0 || y < 0 || x > PNG_FP_1 || y > PNG_FP_1 - x)
			return false;
	}
	return at[1] > 0;
}

void png_colours_read(struct png_codec *codec, struct image_info *info)
{
	int32_t *at = info->chromaticities;
	png_fixed_point gamma;
	int intent;

	if (png_get_gAMA_fixed(codec->png, codec->info, &gamma)) {
		if (gamma > 0 && png_gamma_is_possible((uint32_t)gamma))
			info->gamma = (uint32_t)gamma;
		else
			reader_warn(codec->reader, "gAMA: gamma value out of range");
	}
	if (png_get_cHRM_fixed(codec->png, codec->info, &at[0], &at[1], &at[2], &at[3], &at[4],
		    &at[5], &at[6], &at[7]) &&
		!png_chromaticities_are_possible(at)) {
		memset(at, 0, sizeof info->chromaticities);
		reader_warn(codec->reader, "cHRM: invalid chromaticities");
	}
	if (png_get_sRGB(codec->png, codec->info, &intent) && intent >= 0 && intent <= 3)
		info->srgb = (uint8_t)(1 + intent);
}
