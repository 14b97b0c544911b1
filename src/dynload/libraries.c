/* The libraries, by the sonames that belong to the headers. */
#include "config.h"
#include "dynload/libjansson.h"
#include "dynload/libjpeg.h"
#include "dynload/libm.h"
#include "dynload/libpng.h"
#include "dynload/libsmartcols.h"
#include "dynload/libz.h"
#if HAVE_DEFLATE
#include "dynload/libdeflate.h"
#endif
#if HAVE_SECCOMP
#include "dynload/libseccomp.h"
#endif
#if HAVE_URING
#include "dynload/liburing.h"
#endif
#if SHMSEM_PREVIEW
#include "dynload/libchafa.h"
#endif
#if SHMSEM_SRGB
#include "dynload/liblcms2.h"
#endif

#include <gnu/lib-names.h>

#define TEXT_OF(value)     #value
#define NUMBER_TEXT(value) TEXT_OF(value)

#define PNG_OBJECT \
	"libpng" NUMBER_TEXT(PNG_LIBPNG_VER_SONUM) ".so." NUMBER_TEXT(PNG_LIBPNG_VER_SONUM)

/* libjpeg-turbo stands in for three versions of libjpeg, as it was built; the number of the latest
 * is not that of its interface. */
#if JPEG_LIB_VERSION == 80
#define JPEG_OBJECT "libjpeg.so.8"
#else
#define JPEG_OBJECT "libjpeg.so." NUMBER_TEXT(JPEG_LIB_VERSION)
#endif

DYNLOAD_LIBRARY(libpng, LIBPNG, "PNG", PNG_OBJECT)
DYNLOAD_LIBRARY(libjpeg, LIBJPEG, "JPEG", JPEG_OBJECT)
DYNLOAD_LIBRARY(libz, LIBZ, "PNG", "libz.so.1")
DYNLOAD_LIBRARY(libm, LIBM, "calculating", LIBM_SO)
DYNLOAD_LIBRARY(libsmartcols, LIBSMARTCOLS, "a table", "libsmartcols.so.1")
DYNLOAD_LIBRARY(libjansson, LIBJANSSON, "JSON", "libjansson.so.4")
#if HAVE_DEFLATE
DYNLOAD_LIBRARY(libdeflate, LIBDEFLATE, "PNG", "libdeflate.so.0")
#endif
#if HAVE_SECCOMP
DYNLOAD_LIBRARY(libseccomp, LIBSECCOMP, "the sandbox", "libseccomp.so.2")
#endif
#if HAVE_URING
DYNLOAD_LIBRARY(liburing, LIBURING, "the change flag", "liburing.so.2")
#endif
#if SHMSEM_PREVIEW
DYNLOAD_LIBRARY(libchafa, LIBCHAFA, "--preview", "libchafa.so.0")
#endif
#if SHMSEM_SRGB
DYNLOAD_LIBRARY(liblcms2, LIBLCMS2, "--srgb", "liblcms2.so.2")
#endif

static int (*const loads[])(struct error *err) = {
	libpng_load,
	libjpeg_load,
	libz_load,
	libm_load,
	libsmartcols_load,
	libjansson_load,
#if HAVE_DEFLATE
	libdeflate_load,
#endif
#if HAVE_SECCOMP
	libseccomp_load,
#endif
#if HAVE_URING
	liburing_load,
#endif
#if SHMSEM_PREVIEW
	libchafa_load,
#endif
#if SHMSEM_SRGB
	liblcms2_load,
#endif
};

unsigned libraries_count(void)
{
	return sizeof loads / sizeof *loads;
}

int libraries_load(unsigned number, struct error *err)
{
	return loads[number](err);
}

/* Its header's json_decref() calls it by this name. */
void json_delete(json_t *value)
{
	libjansson.json_delete(value);
}
