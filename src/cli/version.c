#include "cli/version.h"

#include "config.h"

#include <jansson.h>
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>

#include <jpeglib.h>
#include <png.h>

#define TEXT_OF(value)     #value
#define NUMBER_TEXT(value) TEXT_OF(value)

void version_print(FILE *file)
{
	fprintf(file, "shmsem %s\n", SHMSEM_VERSION);
	fprintf(file, "libpng %s, libjpeg-turbo %s, libsmartcols %s, jansson %s\n",
		PNG_LIBPNG_VER_STRING, NUMBER_TEXT(LIBJPEG_TURBO_VERSION), LIBSMARTCOLS_VERSION,
		JANSSON_VERSION);
	fprintf(file, "seccomp %s, uring %s, deflate %s, preview %s, srgb %s\n",
		HAVE_SECCOMP ? "in" : "left out", HAVE_URING ? "in" : "left out",
		HAVE_DEFLATE ? "in" : "left out", SHMSEM_PREVIEW ? "in" : "left out",
		SHMSEM_SRGB ? "in" : "left out");
}
