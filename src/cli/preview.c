#include "cli/preview.h"

#include "config.h"

#if SHMSEM_PREVIEW

#include "base/cleanup.h"
#include "dynload/libchafa.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define COLUMNS    80
#define ROWS       24
#define FONT_RATIO 0.5F /* width to height of a character */

bool preview_possible(void)
{
	return true;
}

/* RGBA, 8 bits a sample, of whatever there is; heap memory. */
static uint8_t *make_rgba(const struct encode_image *image)
{
	size_t count = (size_t)image->width * image->height, step = image->bits / 8;
	const uint8_t *from = image->pixels;
	uint8_t *rgba = reallocarray(NULL, count, 4), *to = rgba;

	/* The high byte of 16-bit samples, which are in native order. */
	if (step == 2 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		from++;
	for (size_t i = 0; rgba && i < count; i++, to += 4) {
		bool colour = image->channels > 2;

		to[0] = from[0];
		to[1] = from[colour ? step : 0];
		to[2] = from[colour ? 2 * step : 0];
		to[3] = image->channels % 2 ? 255 : from[(image->channels - 1U) * step];
		from += image->channels * step;
	}
	return rgba;
}

static ChafaCanvasMode colours(const ChafaTermInfo *terminal)
{
	if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT))
		return CHAFA_CANVAS_MODE_TRUECOLOR;
	if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256))
		return CHAFA_CANVAS_MODE_INDEXED_240;
	if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16))
		return CHAFA_CANVAS_MODE_INDEXED_16;
	return CHAFA_CANVAS_MODE_FGBG;
}

static ChafaPixelMode kind(const ChafaTermInfo *terminal)
{
	if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
		return CHAFA_PIXEL_MODE_KITTY;
	if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_BEGIN_SIXELS))
		return CHAFA_PIXEL_MODE_SIXELS;
	return CHAFA_PIXEL_MODE_SYMBOLS;
}

static ChafaCanvas *make_canvas(const struct encode_image *image, const ChafaTermInfo *terminal)
{
	ChafaCanvasConfig *config = chafa_canvas_config_new();
	struct winsize size = {0};
	ChafaCanvas *canvas;
	int width, height;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	width = size.ws_col ? size.ws_col : COLUMNS;
	height = size.ws_row ? size.ws_row : ROWS;
	/* A row remains for the prompt. */
	height -= height > 1;
	if (size.ws_xpixel && size.ws_ypixel && size.ws_col && size.ws_row)
		chafa_canvas_config_set_cell_geometry(
			config, size.ws_xpixel / size.ws_col, size.ws_ypixel / size.ws_row);
	chafa_calc_canvas_geometry(
		(int)image->width, (int)image->height, &width, &height, FONT_RATIO, FALSE, FALSE);
	chafa_canvas_config_set_geometry(config, width, height);
	chafa_canvas_config_set_canvas_mode(config, colours(terminal));
	chafa_canvas_config_set_pixel_mode(config, kind(terminal));
	canvas = chafa_canvas_new(config);
	chafa_canvas_config_unref(config);
	return canvas;
}

int preview_show(const struct encode_image *image, struct error *err)
{
	AUTO_FREE uint8_t *rgba = make_rgba(image);
	int status = libchafa_load(err);
	ChafaTermInfo *terminal;
	ChafaCanvas *canvas;
	char **environment;
	GString *text;
	bool written;

	if (status)
		return status;
	if (!rgba)
		return error_os(err, ENOMEM, "cannot show the image");
	environment = g_get_environ();
	terminal = chafa_term_db_detect(chafa_term_db_get_default(), environment);
	g_strfreev(environment);
	canvas = make_canvas(image, terminal);
	chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGBA8_UNASSOCIATED, rgba,
		(int)image->width, (int)image->height, (int)image->width * 4);
	text = chafa_canvas_print(canvas, terminal);
	written = fwrite(text->str, 1, text->len, stdout) == text->len && putchar('\n') != EOF &&
		  fflush(stdout) == 0;
	libchafa.g_string_free(text, TRUE); /* in newer GLib a macro, too */
	chafa_canvas_unref(canvas);
	chafa_term_info_unref(terminal);
	return written ? STATUS_OK : error_os(err, errno, "cannot write to standard output");
}

#else

bool preview_possible(void)
{
	return false;
}

int preview_show(const struct encode_image *image, struct error *err)
{
	(void)image;
	return error_set(err, STATUS_UNAVAILABLE,
		"--preview: this shmsem was built without libchafa (meson option 'preview')");
}

#endif
