/* What is used of libpng. */
#pragma once

#include "dynload/dynload.h"

#include <png.h>

#define LIBPNG(F)                           \
	F(png_create_info_struct)           \
	F(png_create_read_struct)           \
	F(png_create_read_struct_2)         \
	F(png_create_write_struct)          \
	F(png_destroy_read_struct)          \
	F(png_destroy_write_struct)         \
	F(png_error)                        \
	F(png_get_PLTE)                     \
	F(png_get_bit_depth)                \
	F(png_get_cHRM_fixed)               \
	F(png_get_channels)                 \
	F(png_get_color_type)               \
	F(png_get_eXIf_1)                   \
	F(png_get_error_ptr)                \
	F(png_get_gAMA_fixed)               \
	F(png_get_iCCP)                     \
	F(png_get_image_height)             \
	F(png_get_image_width)              \
	F(png_get_interlace_type)           \
	F(png_get_io_ptr)                   \
	F(png_get_mem_ptr)                  \
	F(png_get_rowbytes)                 \
	F(png_get_sRGB)                     \
	F(png_get_tRNS)                     \
	F(png_get_valid)                    \
	F(png_image_begin_read_from_memory) \
	F(png_image_finish_read)            \
	F(png_image_free)                   \
	F(png_longjmp)                      \
	F(png_read_end)                     \
	F(png_read_info)                    \
	F(png_read_row)                     \
	F(png_read_update_info)             \
	F(png_set_IHDR)                     \
	F(png_set_add_alpha)                \
	F(png_set_benign_errors)            \
	F(png_set_bgr)                      \
	F(png_set_cHRM_fixed)               \
	F(png_set_chunk_cache_max)          \
	F(png_set_chunk_malloc_max)         \
	F(png_set_crc_action)               \
	F(png_set_expand)                   \
	F(png_set_gAMA_fixed)               \
	F(png_set_gray_to_rgb)              \
	F(png_set_iCCP)                     \
	F(png_set_interlace_handling)       \
	F(png_set_keep_unknown_chunks)      \
	F(png_set_longjmp_fn)               \
	F(png_set_option)                   \
	F(png_set_read_fn)                  \
	F(png_set_read_user_transform_fn)   \
	F(png_set_sRGB)                     \
	F(png_set_scale_16)                 \
	F(png_set_strip_alpha)              \
	F(png_set_swap)                     \
	F(png_set_user_limits)              \
	F(png_set_user_transform_info)      \
	F(png_set_write_fn)                 \
	F(png_write_end)                    \
	F(png_write_info)                   \
	F(png_write_row)

struct libpng {
	LIBPNG(DYNLOAD_MEMBER)
};

extern struct libpng libpng;

int libpng_load(struct error *err);

#define png_create_info_struct           libpng.png_create_info_struct
#define png_create_read_struct           libpng.png_create_read_struct
#define png_create_read_struct_2         libpng.png_create_read_struct_2
#define png_create_write_struct          libpng.png_create_write_struct
#define png_destroy_read_struct          libpng.png_destroy_read_struct
#define png_destroy_write_struct         libpng.png_destroy_write_struct
#define png_error                        libpng.png_error
#define png_get_PLTE                     libpng.png_get_PLTE
#define png_get_bit_depth                libpng.png_get_bit_depth
#define png_get_cHRM_fixed               libpng.png_get_cHRM_fixed
#define png_get_channels                 libpng.png_get_channels
#define png_get_color_type               libpng.png_get_color_type
#define png_get_eXIf_1                   libpng.png_get_eXIf_1
#define png_get_error_ptr                libpng.png_get_error_ptr
#define png_get_gAMA_fixed               libpng.png_get_gAMA_fixed
#define png_get_iCCP                     libpng.png_get_iCCP
#define png_get_image_height             libpng.png_get_image_height
#define png_get_image_width              libpng.png_get_image_width
#define png_get_interlace_type           libpng.png_get_interlace_type
#define png_get_io_ptr                   libpng.png_get_io_ptr
#define png_get_mem_ptr                  libpng.png_get_mem_ptr
#define png_get_rowbytes                 libpng.png_get_rowbytes
#define png_get_sRGB                     libpng.png_get_sRGB
#define png_get_tRNS                     libpng.png_get_tRNS
#define png_get_valid                    libpng.png_get_valid
#define png_image_begin_read_from_memory libpng.png_image_begin_read_from_memory
#define png_image_finish_read            libpng.png_image_finish_read
#define png_image_free                   libpng.png_image_free
#define png_longjmp                      libpng.png_longjmp
#define png_read_end                     libpng.png_read_end
#define png_read_info                    libpng.png_read_info
#define png_read_row                     libpng.png_read_row
#define png_read_update_info             libpng.png_read_update_info
#define png_set_IHDR                     libpng.png_set_IHDR
#define png_set_add_alpha                libpng.png_set_add_alpha
#define png_set_benign_errors            libpng.png_set_benign_errors
#define png_set_bgr                      libpng.png_set_bgr
#define png_set_cHRM_fixed               libpng.png_set_cHRM_fixed
#define png_set_chunk_cache_max          libpng.png_set_chunk_cache_max
#define png_set_chunk_malloc_max         libpng.png_set_chunk_malloc_max
#define png_set_crc_action               libpng.png_set_crc_action
#define png_set_expand                   libpng.png_set_expand
#define png_set_gAMA_fixed               libpng.png_set_gAMA_fixed
#define png_set_gray_to_rgb              libpng.png_set_gray_to_rgb
#define png_set_iCCP                     libpng.png_set_iCCP
#define png_set_interlace_handling       libpng.png_set_interlace_handling
#define png_set_keep_unknown_chunks      libpng.png_set_keep_unknown_chunks
#define png_set_longjmp_fn               libpng.png_set_longjmp_fn
#define png_set_option                   libpng.png_set_option
#define png_set_read_fn                  libpng.png_set_read_fn
#define png_set_read_user_transform_fn   libpng.png_set_read_user_transform_fn
#define png_set_sRGB                     libpng.png_set_sRGB
#define png_set_scale_16                 libpng.png_set_scale_16
#define png_set_strip_alpha              libpng.png_set_strip_alpha
#define png_set_swap                     libpng.png_set_swap
#define png_set_user_limits              libpng.png_set_user_limits
#define png_set_user_transform_info      libpng.png_set_user_transform_info
#define png_set_write_fn                 libpng.png_set_write_fn
#define png_write_end                    libpng.png_write_end
#define png_write_info                   libpng.png_write_info
#define png_write_row                    libpng.png_write_row
