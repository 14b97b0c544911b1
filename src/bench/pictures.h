/*
 * The images that decode and fetch are measured with: files of the user's, or a set drawn here, so
 * that figures of different machines can be compared.
 */
#pragma once

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct picture {
	char name[64];
	uint8_t *data; /* the file */
	size_t size;
};

struct pictures {
	struct picture *list;
	size_t count;
};

/* The drawn set: dot.png of 1 KB, icon of 64x64, photo of 0.6 megapixels, both as .png and .jpg,
 * this size as grey.png, alpha.png (RGBA), noise.png and deep.png (16 bits), and large.jpg of 12
 * megapixels (36 MB). */
int pictures_draw(struct pictures *ret, struct error *err);

/* The first of these alone: the size of a picture does not matter. */
int pictures_draw_dot(struct pictures *ret, struct error *err);

/* A JPEG of 480x320 that is not in the set, much like those that models are trained with. */
int pictures_draw_small(struct pictures *ret, struct error *err);

/* Reads files; those of a folder are taken in order of their names. */
int pictures_load(char *const *paths, size_t count, struct pictures *ret, struct error *err);

void pictures_release(struct pictures *pictures);

#define AUTO_PICTURES __attribute__((cleanup(pictures_release)))

/* The picture under `count` names, numbers of `digits` digits and its ending, sharing its bytes;
 * NULL if there is no memory. The array is to be freed, and nothing else. */
struct picture *pictures_renamed(const struct picture *picture, unsigned count, int digits);

/* The one of that name, or NULL. */
const struct picture *pictures_find(const struct pictures *pictures, const char *name);

/* Writes every one of them as a file into `folder`. */
int pictures_write(const struct pictures *pictures, const char *folder, struct error *err);
