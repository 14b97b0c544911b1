#include "cli/preview.h"

#include "config.h"

#if SHMSEM_PREVIEW

#include "base/cleanup.h"
#include "cli/dynload.h"

#include <chafa.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define CHAFA_OBJECT "libchafa.so.0"
#define COLUMNS      80
#define ROWS         24
#define FONT_RATIO   0.5F /* width to height of a character */

/* What is used of libchafa and GLib. */
struct chafa {
	__typeof__(chafa_calc_canvas_geometry) *chafa_calc_canvas_geometry;
	__typeof__(chafa_canvas_config_new) *chafa_canvas_config_new;
	__typeof__(chafa_canvas_config_unref) *chafa_canvas_config_unref;
	__typeof__(chafa_canvas_config_set_geometry) *chafa_canvas_config_set_geometry;
	__typeof__(chafa_canvas_config_set_cell_geometry) *chafa_canvas_config_set_cell_geometry;
	__typeof__(chafa_canvas_config_set_canvas_mode) *chafa_canvas_config_set_canvas_mode;
	__typeof__(chafa_canvas_config_set_pixel_mode) *chafa_canvas_config_set_pixel_mode;
	__typeof__(chafa_canvas_new) *chafa_canvas_new;
	__typeof__(chafa_canvas_unref) *chafa_canvas_unref;
	__typeof__(chafa_canvas_draw_all_pixels) *chafa_canvas_draw_all_pixels;
	__typeof__(chafa_canvas_print) *chafa_canvas_print;
	__typeof__(chafa_term_db_get_default) *chafa_term_db_get_default;
	__typeof__(chafa_term_db_detect) *chafa_term_db_detect;
	__typeof__(chafa_term_info_have_seq) *chafa_term_info_have_seq;
	__typeof__(chafa_term_info_unref) *chafa_term_info_unref;
	__typeof__(g_get_environ) *g_get_environ;
	__typeof__(g_strfreev) *g_strfreev;
	__typeof__(g_string_free) *g_string_free;
};

bool preview_possible(void)
{
	return true;
}

static int load(const struct chafa **ret, struct error *err)
{
	static struct chafa chafa;
	static const struct dynload_function functions[] = {
		LATE_FUNCTION(chafa, chafa_calc_canvas_geometry),
		LATE_FUNCTION(chafa, chafa_canvas_config_new),
		LATE_FUNCTION(chafa, chafa_canvas_config_unref),
		LATE_FUNCTION(chafa, chafa_canvas_config_set_geometry),
		LATE_FUNCTION(chafa, chafa_canvas_config_set_cell_geometry),
		LATE_FUNCTION(chafa, chafa_canvas_config_set_canvas_mode),
		LATE_FUNCTION(chafa, chafa_canvas_config_set_pixel_mode),
		LATE_FUNCTION(chafa, chafa_canvas_new),
		LATE_FUNCTION(chafa, chafa_canvas_unref),
		LATE_FUNCTION(chafa, chafa_canvas_draw_all_pixels),
		LATE_FUNCTION(chafa, chafa_canvas_print),
		LATE_FUNCTION(chafa, chafa_term_db_get_default),
		LATE_FUNCTION(chafa, chafa_term_db_detect),
		LATE_FUNCTION(chafa, chafa_term_info_have_seq),
		LATE_FUNCTION(chafa, chafa_term_info_unref),
		LATE_FUNCTION(chafa, g_get_environ),
		LATE_FUNCTION(chafa, g_strfreev),
		LATE_FUNCTION(chafa, g_string_free),
		{0},
	};
	int status = dynload_load(CHAFA_OBJECT, "--preview", functions, err);

	if (!status)
		*ret = &chafa;
	return status;
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

static ChafaCanvasMode colours(const struct chafa *chafa, const ChafaTermInfo *terminal)
{
	if (chafa->chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT))
		return CHAFA_CANVAS_MODE_TRUECOLOR;
	if (chafa->chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256))
		return CHAFA_CANVAS_MODE_INDEXED_240;
	if (chafa->chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16))
		return CHAFA_CANVAS_MODE_INDEXED_16;
	return CHAFA_CANVAS_MODE_FGBG;
}

static ChafaPixelMode kind(const struct chafa *chafa, const ChafaTermInfo *terminal)
{
	if (chafa->chafa_term_info_have_seq(
		    terminal, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
		return CHAFA_PIXEL_MODE_KITTY;
	if (chafa->chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_BEGIN_SIXELS))
		return CHAFA_PIXEL_MODE_SIXELS;
	return CHAFA_PIXEL_MODE_SYMBOLS;
}

static ChafaCanvas *make_canvas(
	const struct chafa *chafa, const struct encode_image *image, const ChafaTermInfo *terminal)
{
	ChafaCanvasConfig *config = chafa->chafa_canvas_config_new();
	struct winsize size = {0};
	ChafaCanvas *canvas;
	int width, height;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	width = size.ws_col ? size.ws_col : COLUMNS;
	height = size.ws_row ? size.ws_row : ROWS;
	/* A row remains for the prompt. */
	height -= height > 1;
	if (size.ws_xpixel && size.ws_ypixel && size.ws_col && size.ws_row)
		chafa->chafa_canvas_config_set_cell_geometry(
			config, size.ws_xpixel / size.ws_col, size.ws_ypixel / size.ws_row);
	chafa->chafa_calc_canvas_geometry(
		(int)image->width, (int)image->height, &width, &height, FONT_RATIO, FALSE, FALSE);
	chafa->chafa_canvas_config_set_geometry(config, width, height);
	chafa->chafa_canvas_config_set_canvas_mode(config, colours(chafa, terminal));
	chafa->chafa_canvas_config_set_pixel_mode(config, kind(chafa, terminal));
	canvas = chafa->chafa_canvas_new(config);
	chafa->chafa_canvas_config_unref(config);
	return canvas;
}

int preview_show(const struct encode_image *image, struct error *err)
{
	AUTO_FREE uint8_t *rgba = make_rgba(image);
	const struct chafa *chafa;
	int status = load(&chafa, err);
	ChafaTermInfo *terminal;
	ChafaCanvas *canvas;
	char **environment;
	GString *text;
	bool written;

	if (status)
		return status;
	if (!rgba)
		return error_os(err, ENOMEM, "cannot show the image");
	environment = chafa->g_get_environ();
	terminal = chafa->chafa_term_db_detect(chafa->chafa_term_db_get_default(), environment);
	chafa->g_strfreev(environment);
	canvas = make_canvas(chafa, image, terminal);
	chafa->chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGBA8_UNASSOCIATED, rgba,
		(int)image->width, (int)image->height, (int)image->width * 4);
	text = chafa->chafa_canvas_print(canvas, terminal);
	written = fwrite(text->str, 1, text->len, stdout) == text->len && putchar('\n') != EOF &&
		  fflush(stdout) == 0;
	(chafa->g_string_free)(text, TRUE); /* in newer GLib a macro, too */
	chafa->chafa_canvas_unref(canvas);
	chafa->chafa_term_info_unref(terminal);
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
