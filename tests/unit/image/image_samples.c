#include "image_samples.h"

#include "test.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

static void *must(void *pointer)
{
	if (!pointer)
		abort();
	return pointer;
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Soft gradients with some noise, so that neither filters nor the DCT are idle. */
static void paint(uint8_t *row, size_t size, uint32_t y, uint32_t *state)
{
	for (size_t i = 0; i < size; i++)
		row[i] = (uint8_t)(i * 3 + y * 5 + (next_random(state) & 31));
}

static void put32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void collect(png_structp png, png_bytep data, size_t size)
{
	struct bytes *file = png_get_io_ptr(png);

	file->data = must(realloc(file->data, file->size + size));
	memcpy(file->data + file->size, data, size);
	file->size += size;
}

static void no_flush(png_structp png)
{
	(void)png;
}

static void put_palette(png_structp png, png_infop info, const struct png_sample *sample)
{
	png_color colours[256];
	png_byte alphas[256];
	int count = 1 << sample->depth;

	for (int i = 0; i < count; i++) {
		colours[i] = (png_color){
			(png_byte)(i * 7), (png_byte)(255 - i), (png_byte)(i ^ 90)};
		alphas[i] = (png_byte)(i * 11);
	}
	png_set_PLTE(png, info, colours, count);
	if (sample->transparent)
		png_set_tRNS(png, info, alphas, (count + 1) / 2, NULL);
}

static void put_transparent(png_structp png, png_infop info, const struct png_sample *sample)
{
	png_color_16 colour = {.gray = 1, .red = 3, .green = 6, .blue = 9};

	if (sample->depth == 16)
		colour = (png_color_16){
			.gray = 0x0104, .red = 0x0104, .green = 0x0a0d, .blue = 0x1013};
	png_set_tRNS(png, info, NULL, 0, &colour);
}

/* The transparent colour, where there is one, is to be found in the picture. */
static void plant_transparent(uint8_t *row, const struct png_sample *sample)
{
	static const uint8_t colour8[] = {3, 6, 9}, colour16[] = {1, 4, 10, 13, 16, 19};

	if (sample->type == PNG_COLOR_TYPE_RGB && sample->depth == 8)
		memcpy(row, colour8, sizeof colour8);
	if (sample->type == PNG_COLOR_TYPE_RGB && sample->depth == 16)
		memcpy(row, colour16, sizeof colour16);
	if (sample->type == PNG_COLOR_TYPE_GRAY && sample->depth == 8)
		row[0] = 1;
	if (sample->type == PNG_COLOR_TYPE_GRAY && sample->depth == 16)
		memcpy(row, colour16, 2);
}

static void put_remarks(png_structp png, png_infop info, const struct png_sample *sample)
{
	png_byte least =
		(png_byte)(sample->type == PNG_COLOR_TYPE_PALETTE || sample->depth > 4 ? 5 : 1);
	png_color_8 significant = {least, least, least, least, least};
	png_color_16 background = {.gray = 1, .red = 7, .green = 8, .blue = 9};
	png_time time = {.year = 2001, .month = 2, .day = 3};
	png_sPLT_entry entries[] = {{.red = 1, .alpha = 255, .frequency = 5}};
	png_sPLT_t palette = {
		.name = (char[]){"few"}, .depth = 8, .entries = entries, .nentries = 1};
	png_uint_16 histogram[256] = {3, 1};

	png_set_sBIT(png, info, &significant);
	png_set_bKGD(png, info, &background);
	png_set_pHYs(png, info, 3, 1, PNG_RESOLUTION_UNKNOWN);
	png_set_tIME(png, info, &time);
	png_set_sPLT(png, info, &palette, 1);
	if (sample->type == PNG_COLOR_TYPE_PALETTE)
		png_set_hIST(png, info, histogram);
}

static void put_extras(png_structp png, png_infop info, const struct png_sample *sample)
{
	png_text text = {.compression = PNG_TEXT_COMPRESSION_zTXt,
		.key = (char[]){"Comment"},
		.text = (char[]){"words"},
		.text_length = 5};

	if (sample->type == PNG_COLOR_TYPE_PALETTE)
		put_palette(png, info, sample);
	else if (sample->transparent)
		put_transparent(png, info, sample);
	if (sample->exif.size)
		png_set_eXIf_1(png, info, (png_uint_32)sample->exif.size, sample->exif.data);
	if (sample->icc.size)
		png_set_iCCP(
			png, info, "profile", 0, sample->icc.data, (png_uint_32)sample->icc.size);
	if (sample->remarks)
		put_remarks(png, info, sample);
	if (sample->filters)
		png_set_filter(png, PNG_FILTER_TYPE_BASE, sample->filters);
	if (sample->gamma > 0)
		png_set_gAMA(png, info, sample->gamma);
	for (unsigned i = 0; i < sample->comments; i++)
		png_set_text(png, info, &text, 1);
}

struct bytes make_png(const struct png_sample *sample)
{
	struct bytes file = {0};
	png_structp png = must(png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
	png_infop info = must(png_create_info_struct(png));
	uint32_t state = 2463534242u;
	uint8_t **rows = must(calloc(sample->height, sizeof *rows));
	size_t stride;

	png_set_write_fn(png, &file, collect, no_flush);
	png_set_IHDR(png, info, sample->width, sample->height, sample->depth, sample->type,
		sample->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
		PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	put_extras(png, info, sample);
	png_write_info(png, info);
	for (unsigned i = 0; i < sample->private_chunks; i++)
		png_write_chunk(png, (const png_byte *)"prVt", (const png_byte *)"x", 1);
	stride = png_get_rowbytes(png, info);
	for (uint32_t y = 0; y < sample->height; y++) {
		rows[y] = must(malloc(stride));
		paint(rows[y], stride, y, &state);
		if (sample->transparent)
			plant_transparent(rows[y], sample);
	}
	png_write_image(png, rows);
	png_write_end(png, info);
	png_destroy_write_struct(&png, &info);
	for (uint32_t y = 0; y < sample->height; y++)
		free(rows[y]);
	free(rows);
	return file;
}

/*
 * So many scans: of a progressive JPEG the DC coefficients, then as many AC coefficients of the
 * components in turn; of a sequential one a component each.
 */
static int plan_scans(const struct jpeg_compress_struct *jpeg, const struct jpeg_sample *sample,
	jpeg_scan_info *ret)
{
	int components = jpeg->num_components, count = 0;

	if (!sample->progressive) {
		for (int i = 0; i < components; i++)
			ret[count++] = (jpeg_scan_info){
				.comps_in_scan = 1, .component_index = {i}, .Se = 63};
		return count;
	}
	ret[count] = (jpeg_scan_info){.comps_in_scan = components};
	for (int i = 0; i < components; i++)
		ret[count].component_index[i] = i;
	for (count = 1; count < (int)sample->scans && count <= 63 * components; count++) {
		int at = 1 + (count - 1) / components;

		ret[count] = (jpeg_scan_info){.comps_in_scan = 1,
			.component_index = {(count - 1) % components},
			.Ss = at,
			.Se = at};
	}
	return count;
}

static void put_markers(struct jpeg_compress_struct *jpeg, const struct jpeg_sample *sample)
{
	uint8_t buffer[256] = "Exif\0";

	if (sample->exif.size) {
		memcpy(buffer + 6, sample->exif.data, sample->exif.size);
		jpeg_write_marker(jpeg, JPEG_APP0 + 1, buffer, (unsigned)(6 + sample->exif.size));
	}
	if (sample->icc.size)
		jpeg_write_icc_profile(jpeg, sample->icc.data, (unsigned)sample->icc.size);
	for (unsigned i = 0; i < sample->comments; i++)
		jpeg_write_marker(jpeg, JPEG_COM, (const JOCTET *)"words", 5);
}

struct bytes make_jpeg(const struct jpeg_sample *sample)
{
	struct jpeg_compress_struct jpeg = {0};
	struct jpeg_error_mgr manager;
	unsigned char *data = NULL;
	unsigned long size = 0;
	uint32_t state = 2463534242u;
	jpeg_scan_info scans[1 + 63 * 4];
	JSAMPROW row;

	jpeg.err = jpeg_std_error(&manager);
	jpeg_create_compress(&jpeg);
	jpeg_mem_dest(&jpeg, &data, &size);
	jpeg.image_width = sample->width;
	jpeg.image_height = sample->height;
	jpeg.in_color_space = sample->input;
	jpeg.input_components = sample->input == JCS_CMYK ? 4 : sample->input == JCS_RGB ? 3 : 1;
	jpeg_set_defaults(&jpeg);
	jpeg_set_colorspace(&jpeg, sample->inside);
	for (int i = 0; i < jpeg.num_components; i++)
		jpeg.comp_info[i].h_samp_factor = jpeg.comp_info[i].v_samp_factor = 1;
	if (sample->across) {
		jpeg.comp_info[0].h_samp_factor = (int)sample->across;
		jpeg.comp_info[0].v_samp_factor = (int)sample->down;
	}
	jpeg.restart_interval = sample->restart;
	jpeg.arith_code = sample->arithmetic;
	if (sample->scans) {
		jpeg.num_scans = plan_scans(&jpeg, sample, scans);
		jpeg.scan_info = scans;
	} else if (sample->progressive) {
		jpeg_simple_progression(&jpeg);
	}
	jpeg_start_compress(&jpeg, TRUE);
	put_markers(&jpeg, sample);
	row = must(malloc((size_t)sample->width * 4));
	for (uint32_t y = 0; y < sample->height; y++) {
		paint(row, (size_t)sample->width * (size_t)jpeg.input_components, y, &state);
		jpeg_write_scanlines(&jpeg, &row, 1);
	}
	jpeg_finish_compress(&jpeg);
	jpeg_destroy_compress(&jpeg);
	free(row);
	return (struct bytes){data, size};
}

struct bytes make_exif(uint8_t buffer[EXIF_SIZE], unsigned orientation, bool big)
{
	static const uint8_t intel[EXIF_SIZE] = "II*\0\x8\0\0\0\x1\0\x12\x1\x3\0\x1\0\0\0";
	static const uint8_t motorola[EXIF_SIZE] = "MM\0*\0\0\0\x8\0\x1\x1\x12\0\x3\0\0\0\x1";

	memcpy(buffer, big ? motorola : intel, EXIF_SIZE);
	buffer[big ? 19 : 18] = (uint8_t)orientation;
	return (struct bytes){buffer, EXIF_SIZE};
}

struct bytes make_icc(uint8_t buffer[ICC_SIZE], const char *space)
{
	static const uint8_t d50[12] = {0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d};
	uint32_t state = 88172645;

	memset(buffer, 0, ICC_SIZE);
	put32(buffer, ICC_SIZE);
	buffer[8] = 2;
	memcpy(buffer + 12, "mntr", 4);
	memcpy(buffer + 16, space, 4);
	memcpy(buffer + 20, "XYZ ", 4);
	memcpy(buffer + 36, "acsp", 4);
	memcpy(buffer + 68, d50, sizeof d50);
	put32(buffer + 128, 1);
	memcpy(buffer + 132, "desc", 4);
	put32(buffer + 136, 144);
	put32(buffer + 140, ICC_SIZE - 144);
	paint(buffer + 144, ICC_SIZE - 144, 0, &state);
	return (struct bytes){buffer, ICC_SIZE};
}

static void supply(png_structp png, png_bytep data, size_t size)
{
	struct bytes *rest = png_get_io_ptr(png);

	if (size > rest->size)
		abort();
	memcpy(data, rest->data, size);
	rest->data += size;
	rest->size -= size;
}

struct picture plain_png(struct bytes file, bool native_depth)
{
	return plain_png_into(file, native_depth, NULL);
}

struct picture plain_jpeg(struct bytes file, unsigned scale, J_COLOR_SPACE output)
{
	return plain_jpeg_into(file, scale, output, NULL);
}

struct picture plain_png_into(struct bytes file, bool native_depth, uint8_t *pixels)
{
	png_structp png = must(png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL));
	png_infop info = must(png_create_info_struct(png));
	struct picture picture = {0};
	uint8_t **rows;
	size_t stride;

	png_set_read_fn(png, &file, supply);
	png_read_info(png, info);
	png_set_expand(png);
	if (native_depth)
		png_set_swap(png);
	else
		png_set_scale_16(png);
	png_set_interlace_handling(png);
	png_read_update_info(png, info);
	picture.width = png_get_image_width(png, info);
	picture.height = png_get_image_height(png, info);
	picture.channels = png_get_channels(png, info);
	picture.bits = png_get_bit_depth(png, info);
	stride = png_get_rowbytes(png, info);
	picture.pixels = pixels ? pixels : must(malloc(stride * picture.height));
	rows = must(calloc(picture.height, sizeof *rows));
	for (uint32_t y = 0; y < picture.height; y++)
		rows[y] = picture.pixels + y * stride;
	png_read_image(png, rows);
	png_read_end(png, NULL);
	png_destroy_read_struct(&png, &info, NULL);
	free(rows);
	return picture;
}

static void say_nothing(j_common_ptr jpeg)
{
	(void)jpeg;
}

struct picture plain_jpeg_into(
	struct bytes file, unsigned scale, J_COLOR_SPACE output, uint8_t *pixels)
{
	struct jpeg_decompress_struct jpeg = {0};
	struct jpeg_error_mgr manager;
	struct picture picture = {.bits = 8};
	size_t size;

	jpeg.err = jpeg_std_error(&manager);
	manager.output_message = say_nothing;
	jpeg_create_decompress(&jpeg);
	jpeg_mem_src(&jpeg, file.data, file.size);
	jpeg_read_header(&jpeg, TRUE);
	jpeg.scale_num = 1;
	jpeg.scale_denom = scale;
	if (output != JCS_UNKNOWN)
		jpeg.out_color_space = output;
	jpeg_start_decompress(&jpeg);
	picture.width = jpeg.output_width;
	picture.height = jpeg.output_height;
	picture.channels = (unsigned)jpeg.output_components;
	size = (size_t)picture.width * picture.height * picture.channels;
	picture.pixels = pixels ? pixels : must(malloc(size));
	while (jpeg.output_scanline < jpeg.output_height) {
		JSAMPROW row = picture.pixels +
			       (size_t)jpeg.output_scanline * picture.width * picture.channels;

		jpeg_read_scanlines(&jpeg, &row, 1);
	}
	jpeg_finish_decompress(&jpeg);
	jpeg_destroy_decompress(&jpeg);
	return picture;
}

static size_t find_chunk(const struct bytes *file, const char *type)
{
	size_t at = 8;

	while (at + 12 <= file->size && memcmp(file->data + at + 4, type, 4) != 0)
		at += 12 + ((size_t)file->data[at] << 24 | (size_t)file->data[at + 1] << 16 |
				   (size_t)file->data[at + 2] << 8 | file->data[at + 3]);
	if (at + 12 > file->size)
		abort();
	return at;
}

void insert_chunk(struct bytes *file, const char *type, const void *data, size_t size)
{
	size_t at = find_chunk(file, "IDAT");
	uint8_t *chunk;

	file->data = must(realloc(file->data, file->size + size + 12));
	chunk = file->data + at;
	memmove(chunk + size + 12, chunk, file->size - at);
	put32(chunk, (uint32_t)size);
	memcpy(chunk + 4, type, 4);
	memcpy(chunk + 8, data, size);
	put32(chunk + 8 + size, (uint32_t)crc32(0, chunk + 4, (uInt)size + 4));
	file->size += size + 12;
}

const struct image_limits usual_limits = {.pixels = 100000000,
	.bytes = 1ull << 30,
	.memory = 1ull << 30,
	.chunk_bytes = 8000000,
	.side = 65535,
	.scans = 100,
	.chunks = 1000};

int decode_picture(struct image_reader *reader, struct bytes file,
	const struct image_options *options, const struct image_limits *limits, struct outcome *ret)
{
	struct image_info info = {0};
	int status = image_probe(reader, file.data, file.size, options, limits, &info, &ret->error);
	uint8_t *pixels;

	if (status)
		return status;
	pixels = must(malloc(info.bytes));
	memset(pixels, 0xaa, info.bytes);
	status = image_decode(reader, pixels, info.bytes, &ret->warning, &ret->error);
	if (status) {
		free(pixels);
		return status;
	}
	ret->info = info;
	ret->picture = (struct picture){pixels, info.width, info.height, info.channels, info.bits};
	return STATUS_OK;
}

void assert_same_picture(const struct picture *a, const struct picture *b, const char *what)
{
	size_t size = (size_t)a->width * a->height * a->channels * a->bits / 8;

	if (a->width != b->width || a->height != b->height || a->channels != b->channels ||
		a->bits != b->bits)
		fail_msg("%s: %ux%u, %u channels of %u bits against %ux%u, %u of %u", what,
			a->width, a->height, a->channels, a->bits, b->width, b->height, b->channels,
			b->bits);
	for (size_t i = 0; i < size; i++) {
		if (a->pixels[i] != b->pixels[i])
			fail_msg("%s: byte %zu of %zu is %u against %u", what, i, size,
				a->pixels[i], b->pixels[i]);
	}
}
