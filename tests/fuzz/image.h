/* What the PNG and the JPEG target share. */
#pragma once

#include "image/image.h"

/* The first bytes of an input choose the options; the file is behind them. */
#define IMAGE_OPTION_BYTES 3

/* Probes and decodes, and checks what must hold of every outcome. */
void fuzz_image(const uint8_t *data, size_t size);
