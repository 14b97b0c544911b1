/*
 * What a PNG says of its colours: gAMA, cHRM, sRGB. Releases of libpng differ in what they let through, so it is decided here
 * what can be true.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct image_info;
struct png_codec;

/* Fills what `info` says of colours; what cannot be true is left out, with a warning. Within a step of libpng. */
void png_colours_read(struct png_codec *codec, struct image_info *info);

/* gAMA x 100000. */
bool png_gamma_is_possible(uint32_t gamma);

/* cHRM x 100000: x and y of white, red, green and blue. */
bool png_chromaticities_are_possible(const int32_t at[8]);
