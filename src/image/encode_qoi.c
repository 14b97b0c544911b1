/* QOI, "quite OK image" 1.0: runs, a table of colours seen, and small differences. */
#include "image/codecs.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>

#define SEEN    64
#define RUN_MAX 62

enum {
	OP_INDEX = 0x00,
	OP_DIFFERENCE = 0x40,
	OP_LUMA = 0x80,
	OP_RUN = 0xc0,
	OP_RGB = 0xfe,
	OP_RGBA = 0xff,
};

struct colour {
	uint8_t r, g, b, a;
};

struct state {
	FILE *file;
	struct colour last, seen[SEEN];
	unsigned run;
};

static bool same(struct colour one, struct colour other)
{
	return one.r == other.r && one.g == other.g && one.b == other.b && one.a == other.a;
}

/* Differences wrap around, as bytes do. */
static void put_difference(struct state *state, struct colour to)
{
	int r = (int8_t)(to.r - state->last.r), g = (int8_t)(to.g - state->last.g),
	    b = (int8_t)(to.b - state->last.b), rg = (int8_t)(r - g), bg = (int8_t)(b - g);

	if (to.a != state->last.a) {
		putc_unlocked(OP_RGBA, state->file);
		fwrite(&to, 4, 1, state->file);
	} else if (r >= -2 && r < 2 && g >= -2 && g < 2 && b >= -2 && b < 2) {
		putc_unlocked(OP_DIFFERENCE | (r + 2) << 4 | (g + 2) << 2 | (b + 2), state->file);
	} else if (g >= -32 && g < 32 && rg >= -8 && rg < 8 && bg >= -8 && bg < 8) {
		putc_unlocked(OP_LUMA | (g + 32), state->file);
		putc_unlocked((rg + 8) << 4 | (bg + 8), state->file);
	} else {
		putc_unlocked(OP_RGB, state->file);
		fwrite(&to, 3, 1, state->file);
	}
}

static void end_run(struct state *state)
{
	if (state->run)
		putc_unlocked(OP_RUN | (state->run - 1), state->file);
	state->run = 0;
}

static void put_pixel(struct state *state, struct colour pixel)
{
	unsigned at = (pixel.r * 3U + pixel.g * 5U + pixel.b * 7U + pixel.a * 11U) % SEEN;

	if (same(pixel, state->last)) {
		if (++state->run == RUN_MAX)
			end_run(state);
		return;
	}
	end_run(state);
	if (same(pixel, state->seen[at]))
		putc_unlocked(OP_INDEX | (int)at, state->file);
	else
		put_difference(state, pixel);
	state->seen[at] = state->last = pixel;
}

int encode_qoi(FILE *file, const struct encode_image *image, struct error *err)
{
	const uint32_t size[2] = {htobe32(image->width), htobe32(image->height)};
	struct state state = {.file = file, .last = {.a = 255}};
	size_t count = (size_t)image->width * image->height;
	const uint8_t *at = image->pixels;

	errno = 0;
	fwrite("qoif", 4, 1, file);
	fwrite(size, sizeof size, 1, file);
	putc_unlocked(image->channels, file);
	putc_unlocked(0, file); /* sRGB with linear alpha */
	for (size_t i = 0; i < count && !ferror(file); i++, at += image->channels)
		put_pixel(&state,
			(struct colour){at[0], at[1], at[2], image->channels == 4 ? at[3] : 255});
	end_run(&state);
	fwrite("\0\0\0\0\0\0\0\1", 8, 1, file);
	return ferror(file) ? encode_write_error(errno, err) : STATUS_OK;
}
