/* What is used of libchafa, and of glib, which it brings along. */
#pragma once

#include "dynload/dynload.h"

#include <chafa.h>

#define LIBCHAFA(F)                              \
	F(chafa_calc_canvas_geometry)            \
	F(chafa_canvas_config_new)               \
	F(chafa_canvas_config_set_canvas_mode)   \
	F(chafa_canvas_config_set_cell_geometry) \
	F(chafa_canvas_config_set_geometry)      \
	F(chafa_canvas_config_set_pixel_mode)    \
	F(chafa_canvas_config_unref)             \
	F(chafa_canvas_draw_all_pixels)          \
	F(chafa_canvas_new)                      \
	F(chafa_canvas_print)                    \
	F(chafa_canvas_unref)                    \
	F(chafa_term_db_detect)                  \
	F(chafa_term_db_get_default)             \
	F(chafa_term_info_have_seq)              \
	F(chafa_term_info_unref)                 \
	F(g_get_environ)                         \
	F(g_strfreev)                            \
	F(g_string_free)

struct libchafa {
	LIBCHAFA(DYNLOAD_MEMBER)
};

extern struct libchafa libchafa;

int libchafa_load(struct error *err);

#define chafa_calc_canvas_geometry            libchafa.chafa_calc_canvas_geometry
#define chafa_canvas_config_new               libchafa.chafa_canvas_config_new
#define chafa_canvas_config_set_canvas_mode   libchafa.chafa_canvas_config_set_canvas_mode
#define chafa_canvas_config_set_cell_geometry libchafa.chafa_canvas_config_set_cell_geometry
#define chafa_canvas_config_set_geometry      libchafa.chafa_canvas_config_set_geometry
#define chafa_canvas_config_set_pixel_mode    libchafa.chafa_canvas_config_set_pixel_mode
#define chafa_canvas_config_unref             libchafa.chafa_canvas_config_unref
#define chafa_canvas_draw_all_pixels          libchafa.chafa_canvas_draw_all_pixels
#define chafa_canvas_new                      libchafa.chafa_canvas_new
#define chafa_canvas_print                    libchafa.chafa_canvas_print
#define chafa_canvas_unref                    libchafa.chafa_canvas_unref
#define chafa_term_db_detect                  libchafa.chafa_term_db_detect
#define chafa_term_db_get_default             libchafa.chafa_term_db_get_default
#define chafa_term_info_have_seq              libchafa.chafa_term_info_have_seq
#define chafa_term_info_unref                 libchafa.chafa_term_info_unref
#define g_get_environ                         libchafa.g_get_environ
#define g_strfreev                            libchafa.g_strfreev
