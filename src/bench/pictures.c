#include "bench/pictures.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "image/encode.h"
#include "image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (256 << 20)

enum look {
	LOOK_PHOTO, /* RGB */
	LOOK_GREY,  /* the same without colours */
	LOOK_ALPHA, /* the same with alpha that is as green */
	LOOK_NOISE, /* RGB of which nothing can be foretold */
	LOOK_DEEP,  /* RGB of 16 bits, the lower half noise, as from a camera */
};

struct drawing {
	const char *name;
	enum encode_format format;
	uint32_t width, height;
	enum look look;
};

static const struct drawing drawn[] = {
	{"dot.png", ENCODE_PNG, 20, 17, LOOK_PHOTO},
	{"icon.png", ENCODE_PNG, 64, 64, LOOK_PHOTO},
	{"icon.jpg", ENCODE_JPEG, 64, 64, LOOK_PHOTO},
	{"photo.png", ENCODE_PNG, 960, 640, LOOK_PHOTO},
	{"grey.png", ENCODE_PNG, 960, 640, LOOK_GREY},
	{"alpha.png", ENCODE_PNG, 960, 640, LOOK_ALPHA},
	{"noise.png", ENCODE_PNG, 960, 640, LOOK_NOISE},
	{"deep.png", ENCODE_PNG, 960, 640, LOOK_DEEP},
	{"photo.jpg", ENCODE_JPEG, 960, 640, LOOK_PHOTO},
	{"large.jpg", ENCODE_JPEG, 4000, 3000, LOOK_PHOTO},
};

/* Room for one more at the end, which is zeroed; NULL if there is no memory. */
static struct picture *add_picture(struct pictures *pictures, const char *name)
{
	struct picture *grown = realloc(
		pictures->list, (pictures->count + 1) * sizeof *pictures->list);

	if (!grown)
		return NULL;
	pictures->list = grown;
	grown += pictures->count++;
	*grown = (struct picture){0};
	snprintf(grown->name, sizeof grown->name, "%s", name);
	return grown;
}

static uint64_t next_grain(uint64_t *grain)
{
	*grain ^= *grain << 13;
	*grain ^= *grain >> 7;
	*grain ^= *grain << 17;
	return *grain;
}

/* Slopes and edges with a grain over them, much as a photograph has. */
static void draw_photo(uint8_t *pixels, uint32_t width, uint32_t height)
{
	uint64_t state = 88172645463325252ULL;

	for (uint32_t y = 0; y < height; y++) {
		for (uint32_t x = 0; x < width; x++) {
			uint32_t across = x * 200 / width, down = y * 200 / height;
			uint32_t disc = ((across - 100) * (across - 100) +
						(down - 100) * (down - 100)) /
					64 % 3 * 12;
			uint64_t grain = next_grain(&state);

			*pixels++ = (uint8_t)(across + disc + (grain & 7));
			*pixels++ = (uint8_t)(down + disc + (grain >> 3 & 7));
			*pixels++ = (uint8_t)((across + down) / 2 + (grain >> 6 & 7));
		}
	}
}

/* What a photo becomes, in place: it has room for 16 bits a sample. */
static void change_look(uint8_t *pixels, size_t count, enum look look)
{
	uint16_t *deep = (uint16_t *)(void *)pixels;
	uint64_t state = 362436069362436069ULL;

	for (size_t i = 0; look == LOOK_GREY && i < count; i++)
		pixels[i] = pixels[3 * i + 1];
	for (size_t i = 0; look == LOOK_NOISE && i < 3 * count; i++)
		pixels[i] = (uint8_t)next_grain(&state);
	for (size_t i = count; look == LOOK_ALPHA && i-- > 0;) {
		memmove(pixels + 4 * i, pixels + 3 * i, 3);
		pixels[4 * i + 3] = pixels[4 * i + 1];
	}
	for (size_t i = 3 * count; look == LOOK_DEEP && i-- > 0;)
		deep[i] = (uint16_t)(pixels[i] << 8 | (next_grain(&state) & 255));
}

static uint8_t channels_of(enum look look)
{
	return look == LOOK_GREY ? 1 : look == LOOK_ALPHA ? 4 : 3;
}

static int draw_into(FILE *file, const struct drawing *drawing, struct error *err)
{
	size_t count = (size_t)drawing->width * drawing->height;
	AUTO_FREE uint8_t *pixels = malloc(count * 6);
	const struct encode_options options = {0};
	const struct encode_image image = {.pixels = pixels,
		.width = drawing->width,
		.height = drawing->height,
		.channels = channels_of(drawing->look),
		.bits = drawing->look == LOOK_DEEP ? 16 : 8};

	if (!pixels)
		return error_os(err, ENOMEM, "cannot draw an image");
	draw_photo(pixels, drawing->width, drawing->height);
	change_look(pixels, count, drawing->look);
	return encode_write(file, drawing->format, &image, &options, err);
}

static int draw_one(struct picture *picture, const struct drawing *drawing, struct error *err)
{
	FILE *file = open_memstream((char **)&picture->data, &picture->size);
	int status;

	if (!file)
		return error_os(err, errno, "cannot draw an image");
	status = draw_into(file, drawing, err);
	if (fclose(file) && !status)
		status = error_os(err, errno, "cannot draw an image");
	return status;
}

static int draw(
	const struct drawing *drawings, size_t count, struct pictures *ret, struct error *err)
{
	struct pictures pictures = {0};
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < count; i++) {
		struct picture *picture = add_picture(&pictures, drawings[i].name);

		status = picture ? draw_one(picture, &drawings[i], err)
				 : error_os(err, ENOMEM, "cannot draw an image");
	}
	if (status)
		pictures_release(&pictures);
	else
		*ret = pictures;
	return status;
}

int pictures_draw(struct pictures *ret, struct error *err)
{
	return draw(drawn, sizeof drawn / sizeof *drawn, ret, err);
}

int pictures_draw_dot(struct pictures *ret, struct error *err)
{
	return draw(drawn, 1, ret, err);
}

int pictures_draw_small(struct pictures *ret, struct error *err)
{
	const struct drawing small = {"small.jpg", ENCODE_JPEG, 480, 320, LOOK_PHOTO};

	return draw(&small, 1, ret, err);
}

struct picture *pictures_renamed(const struct picture *picture, unsigned count, int digits)
{
	struct picture *renamed = calloc(count, sizeof *renamed);
	const char *ending = strrchr(picture->name, '.');

	for (unsigned i = 0; renamed && i < count; i++) {
		renamed[i] = *picture;
		snprintf(renamed[i].name, sizeof renamed[i].name, "%0*u%.8s", digits, i,
			ending ? ending : "");
	}
	return renamed;
}

void pictures_release(struct pictures *pictures)
{
	for (size_t i = 0; i < pictures->count; i++)
		free(pictures->list[i].data);
	free(pictures->list);
	*pictures = (struct pictures){0};
}

const struct picture *pictures_find(const struct pictures *pictures, const char *name)
{
	for (size_t i = 0; i < pictures->count; i++)
		if (!strcmp(pictures->list[i].name, name))
			return &pictures->list[i];
	return NULL;
}

static int load_file(struct pictures *pictures, const char *path, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *base = strrchr(path, '/');
	struct picture *picture;
	struct stat about;

	if (fd < 0 || fstat(fd, &about))
		return error_os(err, errno, "cannot open '%s'", path);
	if (!S_ISREG(about.st_mode))
		return error_set(err, STATUS_USAGE, "'%s' is not a file", path);
	if (about.st_size > FILE_BYTES_MAX)
		return error_set(err, STATUS_USAGE, "'%s' is too large", path);
	picture = add_picture(pictures, base ? base + 1 : path);
	if (!picture || !(picture->data = malloc((size_t)about.st_size + 1)))
		return error_os(err, ENOMEM, "cannot read '%s'", path);
	picture->size = (size_t)about.st_size;
	if (read_full(fd, picture->data, picture->size) != about.st_size)
		return error_set(err, STATUS_TRY_AGAIN, "'%s' changed while it was read", path);
	if (image_sniff(picture->data, picture->size) == IMAGE_FORMAT_UNKNOWN)
		return error_set(err, STATUS_BAD_DATA, "'%s' is neither PNG nor JPEG", path);
	return STATUS_OK;
}

static int choose_images(const struct dirent *entry)
{
	const char *ending = strrchr(entry->d_name, '.');

	return ending && (!strcasecmp(ending, ".png") || !strcasecmp(ending, ".jpg") ||
				 !strcasecmp(ending, ".jpeg"));
}

static int load_folder(struct pictures *pictures, const char *folder, struct error *err)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, choose_images, alphasort), status = STATUS_OK;

	if (count < 0)
		return error_os(err, errno, "cannot read '%s'", folder);
	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		if (!status)
			status = load_file(pictures, path, err);
		free(entries[i]);
	}
	free(entries);
	return status;
}

int pictures_load(char *const *paths, size_t count, struct pictures *ret, struct error *err)
{
	struct pictures pictures = {0};
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < count; i++) {
		struct stat about;

		if (!stat(paths[i], &about) && S_ISDIR(about.st_mode))
			status = load_folder(&pictures, paths[i], err);
		else
			status = load_file(&pictures, paths[i], err);
	}
	if (!status && !pictures.count)
		status = error_set(err, STATUS_NOT_FOUND, "there are no images in '%s'", paths[0]);
	if (status)
		pictures_release(&pictures);
	else
		*ret = pictures;
	return status;
}

int pictures_write(const struct pictures *pictures, const char *folder, struct error *err)
{
	for (size_t i = 0; i < pictures->count; i++) {
		const struct picture *picture = &pictures->list[i];
		char path[4096];
		AUTO_CLOSE int fd = -1;

		snprintf(path, sizeof path, "%s/%s", folder, picture->name);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write_full(fd, picture->data, picture->size))
			return error_os(err, errno, "cannot write '%s'", path);
	}
	return STATUS_OK;
}
