/*
 * What the files that call libjpeg share.
 */
#pragma once

#include "dynload/libjpeg.h"
#include "image/profile.h"
#include "image/reader.h"

#include <setjmp.h>

struct jpeg_codec {
	struct jpeg_decompress_struct jpeg;
	struct jpeg_error_mgr manager;
	struct jpeg_progress_mgr progress;
	jmp_buf jump;
	struct error error;
	struct image_reader *reader;
	struct profile_pieces pieces;
	size_t size;      /* of the file, as far as it is read */
	uint32_t markers; /* APP1, APP2 and COM seen */
	bool described;   /* the header was read: what comes later changes nothing that was said */
	bool broken;      /* `error` is a fault of the file that libjpeg found */
};
