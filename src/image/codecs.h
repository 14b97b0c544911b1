/*
 * The formats that encode.c hands on, and what they share (encode_file.c).
 */
#pragma once

#include "image/encode.h"

int encode_png(FILE *file, const struct encode_image *image, struct error *err);
int encode_jpeg(FILE *file, const struct encode_image *image, int quality, struct error *err);

/* 8-bit RGB or RGBA. */
int encode_qoi(FILE *file, const struct encode_image *image, struct error *err);

/* A failed write: STATUS_IO with what errno says. */
int encode_write_error(int os_error, struct error *err);
