/*
 * The formats that image.c reads. After a failure a codec is ready for the next image.
 */
#pragma once

#include "image/reader.h"

int png_codec_probe(struct image_reader *reader, struct error *err);
int png_codec_decode(struct image_reader *reader, void *pixels, struct error *err);
void png_codec_free(struct png_codec *codec);
/* What has to be done before system calls are forbidden: its libraries are loaded. */
int png_codec_prepare(struct error *err);

int jpeg_codec_prepare(struct error *err);
int jpeg_codec_probe(struct image_reader *reader, struct error *err);
int jpeg_codec_decode(struct image_reader *reader, void *pixels, struct error *err);
void jpeg_codec_free(struct jpeg_codec *codec);
