/* What the targets of images share. */
#pragma once

#include "image/image.h"

/* The first bytes of an input choose the options; the file is behind them. */
#define IMAGE_OPTION_BYTES 3

/* Probes and decodes, and checks what must hold of every outcome. */
void fuzz_image(const uint8_t *data, size_t size);

/* Has a PNG read by the fast road and by libpng alone, and checks that nothing is different. */
void fuzz_image_by_both(
	const uint8_t options[IMAGE_OPTION_BYTES], const uint8_t *file, size_t size);
