/* Small images of every kind, cut at every byte, with every bit flipped, and spoiled at random. */
#include "internal.h"

#include <string.h>

#define SEED_SIZE_MAX 2048

static struct bytes png_seed(int type, int depth, bool interlaced, bool transparent)
{
	return make_png(&(struct png_sample){.width = 7,
		.height = 6,
		.type = type,
		.depth = depth,
		.interlaced = interlaced,
		.transparent = transparent});
}

static struct bytes png_rich_seed(void)
{
	uint8_t exif[EXIF_SIZE], icc[ICC_SIZE];

	return make_png(&(struct png_sample){.width = 5,
		.height = 4,
		.type = PNG_COLOR_TYPE_RGB,
		.depth = 8,
		.exif = make_exif(exif, 6, true),
		.icc = make_icc(icc, "RGB "),
		.comments = 1,
		.private_chunks = 1,
		.gamma = 0.45});
}

static struct bytes jpeg_seed(J_COLOR_SPACE input, J_COLOR_SPACE inside, bool progressive)
{
	return make_jpeg(&(struct jpeg_sample){.width = 17,
		.height = 9,
		.input = input,
		.inside = inside,
		.across = inside == JCS_YCbCr ? 2 : 1,
		.down = inside == JCS_YCbCr ? 2 : 1,
		.progressive = progressive,
		.restart = progressive ? 0 : 1});
}

static struct bytes jpeg_rich_seed(void)
{
	uint8_t exif[EXIF_SIZE], icc[ICC_SIZE];

	return make_jpeg(&(struct jpeg_sample){.width = 9,
		.height = 9,
		.input = JCS_GRAYSCALE,
		.inside = JCS_GRAYSCALE,
		.exif = make_exif(exif, 8, false),
		.icc = make_icc(icc, "GRAY"),
		.comments = 1});
}

static void cut(struct nasty *nasty, const char *seed, const struct bytes *file)
{
	for (size_t size = 0; size < file->size; size++) {
		struct bytes part = bytes_copy(file, size);

		nasty_show(nasty, &part, EITHER, "%s-cut-%zu", seed, size);
		bytes_free(&part);
	}
}

static void flip(struct nasty *nasty, const char *seed, const struct bytes *file)
{
	struct bytes copy = bytes_copy(file, file->size);

	for (size_t bit = 0; bit < 8 * file->size; bit++) {
		copy.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		nasty_show(nasty, &copy, EITHER, "%s-flip-%zu", seed, bit);
		copy.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	bytes_free(&copy);
}

/* Several bytes at once: set to the extremes, or anything; and a stretch moved elsewhere. */
static void spoil(struct nasty *nasty, const char *seed, const struct bytes *file)
{
	static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff};
	uint32_t state = (uint32_t)file->size;

	for (unsigned i = 0; i < 200; i++) {
		struct bytes copy = bytes_copy(file, file->size);

		for (unsigned k = 0; k <= i % 8; k++) {
			uint32_t number = nasty_random(&state);
			size_t at = nasty_random(&state) % copy.size;

			copy.data[at] = i % 2 ? (uint8_t)number
					      : extremes[number % sizeof extremes];
		}
		if (i % 5 == 0) {
			size_t from = nasty_random(&state) % copy.size;
			size_t to = nasty_random(&state) % copy.size;
			size_t most = copy.size - (from > to ? from : to);

			memmove(copy.data + to, copy.data + from, most);
		}
		nasty_show(nasty, &copy, EITHER, "%s-spoilt-%u", seed, i);
		bytes_free(&copy);
	}
}

/* What is no image at all, and what is only its beginning. */
static void noise(struct nasty *nasty)
{
	static const char *const beginnings[] = {"", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "GIF89a",
		"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "\xff\xd8\xff\xe0\0\x10JFIF", "\xff\xd8\xff\xc0"};
	static const size_t lengths[] = {0, 8, 3, 6, 16, 10, 4};
	uint32_t state = 1;

	for (size_t kind = 0; kind < sizeof lengths / sizeof *lengths; kind++)
		for (unsigned i = 0; i < 100; i++) {
			uint8_t buffer[512];
			size_t size = lengths[kind] + nasty_random(&state) % 400;

			for (size_t at = 0; at < sizeof buffer; at++)
				buffer[at] = (uint8_t)nasty_random(&state);
			memcpy(buffer, beginnings[kind], lengths[kind]);
			nasty_show(nasty, &(struct bytes){buffer, i ? size : lengths[kind]},
				REFUSED, "noise-%zu-%u", kind, i);
		}
}

void nasty_mutations(struct nasty *nasty)
{
	struct {
		const char *name;
		struct bytes file;
	} seeds[] = {
		{"png-grey1", png_seed(PNG_COLOR_TYPE_GRAY, 1, false, false)},
		{"png-grey16", png_seed(PNG_COLOR_TYPE_GRAY, 16, false, true)},
		{"png-rgb", png_seed(PNG_COLOR_TYPE_RGB, 8, true, false)},
		{"png-rgba", png_seed(PNG_COLOR_TYPE_RGB_ALPHA, 8, false, false)},
		{"png-palette", png_seed(PNG_COLOR_TYPE_PALETTE, 2, true, true)},
		{"png-rich", png_rich_seed()},
		{"jpeg-grey", jpeg_seed(JCS_GRAYSCALE, JCS_GRAYSCALE, false)},
		{"jpeg-ycc", jpeg_seed(JCS_RGB, JCS_YCbCr, false)},
		{"jpeg-progressive", jpeg_seed(JCS_RGB, JCS_YCbCr, true)},
		{"jpeg-cmyk", jpeg_seed(JCS_CMYK, JCS_YCCK, false)},
		{"jpeg-rich", jpeg_rich_seed()},
	};

	for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
		nasty_show(nasty, &seeds[i].file, WHOLE, "%s", seeds[i].name);
		cut(nasty, seeds[i].name, &seeds[i].file);
		flip(nasty, seeds[i].name, &seeds[i].file);
		spoil(nasty, seeds[i].name, &seeds[i].file);
		bytes_free(&seeds[i].file);
	}
	noise(nasty);
}
