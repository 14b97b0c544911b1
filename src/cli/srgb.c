#include "cli/srgb.h"

#include "config.h"

#if SHMSEM_SRGB

#include "base/cleanup.h"
#include "cli/dynload.h"

#include <errno.h>
#include <lcms2.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LCMS_OBJECT "liblcms2.so.2"

/* What is used of lcms2. */
struct lcms {
	__typeof__(cmsOpenProfileFromMem) *cmsOpenProfileFromMem;
	__typeof__(cmsGetColorSpace) *cmsGetColorSpace;
	__typeof__(cmsCreate_sRGBProfile) *cmsCreate_sRGBProfile;
	__typeof__(cmsBuildParametricToneCurve) *cmsBuildParametricToneCurve;
	__typeof__(cmsBuildGamma) *cmsBuildGamma;
	__typeof__(cmsFreeToneCurve) *cmsFreeToneCurve;
	__typeof__(cmsCreateGrayProfile) *cmsCreateGrayProfile;
	__typeof__(cmsCreateRGBProfile) *cmsCreateRGBProfile;
	__typeof__(cmsD50_xyY) *cmsD50_xyY;
	__typeof__(cmsCloseProfile) *cmsCloseProfile;
	__typeof__(cmsCreateTransform) *cmsCreateTransform;
	__typeof__(cmsDoTransform) *cmsDoTransform;
	__typeof__(cmsDeleteTransform) *cmsDeleteTransform;
};

/* Several connections may be at work. */
static int load(const struct lcms **ret, struct error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct lcms lcms;
	static bool loaded;
	static const struct dynload_function functions[] = {
		LATE_FUNCTION(lcms, cmsOpenProfileFromMem),
		LATE_FUNCTION(lcms, cmsGetColorSpace),
		LATE_FUNCTION(lcms, cmsCreate_sRGBProfile),
		LATE_FUNCTION(lcms, cmsBuildParametricToneCurve),
		LATE_FUNCTION(lcms, cmsBuildGamma),
		LATE_FUNCTION(lcms, cmsFreeToneCurve),
		LATE_FUNCTION(lcms, cmsCreateGrayProfile),
		LATE_FUNCTION(lcms, cmsCreateRGBProfile),
		LATE_FUNCTION(lcms, cmsD50_xyY),
		LATE_FUNCTION(lcms, cmsCloseProfile),
		LATE_FUNCTION(lcms, cmsCreateTransform),
		LATE_FUNCTION(lcms, cmsDoTransform),
		LATE_FUNCTION(lcms, cmsDeleteTransform),
		{0},
	};
	int status = STATUS_OK;

	pthread_mutex_lock(&lock);
	if (!loaded)
		status = dynload_load(LCMS_OBJECT, "--srgb", functions, err);
	loaded = !status;
	pthread_mutex_unlock(&lock);
	if (!status)
		*ret = &lcms;
	return status;
}

static cmsToneCurve *make_srgb_curve(const struct lcms *lcms)
{
	/* IEC 61966-2-1 */
	static const double curve[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};

	return lcms->cmsBuildParametricToneCurve(NULL, 4, curve);
}

/* sRGB, or grey with its curve. */
static cmsHPROFILE make_target(const struct lcms *lcms, bool colour)
{
	cmsToneCurve *curve;
	cmsHPROFILE grey;

	if (colour)
		return lcms->cmsCreate_sRGBProfile();
	curve = make_srgb_curve(lcms);
	grey = lcms->cmsCreateGrayProfile(lcms->cmsD50_xyY(), curve);
	lcms->cmsFreeToneCurve(curve);
	return grey;
}

static bool has_chromaticities(const struct encode_image *image)
{
	static const int32_t none[8];

	return memcmp(image->chromaticities, none, sizeof none) != 0;
}

/* The profile that gAMA and cHRM of a PNG come to; where one is missing, sRGB's takes its place. */
static cmsHPROFILE make_source(const struct lcms *lcms, const struct encode_image *image)
{
	static const int32_t srgb[8] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
	const int32_t *at = has_chromaticities(image) ? image->chromaticities : srgb;
	const cmsCIExyY white = {at[0] / 1e5, at[1] / 1e5, 1};
	const cmsCIExyYTRIPLE primaries = {{at[2] / 1e5, at[3] / 1e5, 1},
		{at[4] / 1e5, at[5] / 1e5, 1}, {at[6] / 1e5, at[7] / 1e5, 1}};
	cmsToneCurve *curve = image->gamma ? lcms->cmsBuildGamma(NULL, 1e5 / image->gamma)
					   : make_srgb_curve(lcms);
	cmsToneCurve *curves[] = {curve, curve, curve};
	cmsHPROFILE profile;

	if (!curve)
		return NULL;
	profile = image->channels > 2 ? lcms->cmsCreateRGBProfile(&white, &primaries, curves)
				      : lcms->cmsCreateGrayProfile(lcms->cmsD50_xyY(), curve);
	lcms->cmsFreeToneCurve(curve);
	return profile;
}

/* How lcms2 names the samples: 255 is no ink in CMYK. */
static cmsUInt32Number layout_of(const struct encode_image *image)
{
	bool alpha = !image->cmyk && image->channels % 2 == 0;

	return COLORSPACE_SH(image->cmyk           ? PT_CMYK
			     : image->channels > 2 ? PT_RGB
						   : PT_GRAY) |
	       CHANNELS_SH(image->channels - (unsigned)alpha) | EXTRA_SH(alpha) |
	       FLAVOR_SH(image->cmyk) | BYTES_SH(image->bits / 8U);
}

static cmsHPROFILE open_source(
	const struct lcms *lcms, const struct encode_image *image, struct error *err)
{
	cmsColorSpaceSignature space = image->cmyk           ? cmsSigCmykData
				       : image->channels > 2 ? cmsSigRgbData
							     : cmsSigGrayData;
	cmsHPROFILE source = image->icc ? lcms->cmsOpenProfileFromMem(
						  image->icc, (cmsUInt32Number)image->icc_bytes)
					: make_source(lcms, image);

	if (source && lcms->cmsGetColorSpace(source) == space)
		return source;
	if (source)
		lcms->cmsCloseProfile(source);
	if (!image->icc)
		error_set(err, STATUS_BAD_DATA,
			"its gAMA and cHRM describe no colours, so it cannot be converted");
	else
		error_set(err, STATUS_BAD_DATA,
			"its colour profile is broken, or not one for %s, so it cannot be "
			"converted",
			image->cmyk           ? "CMYK"
			: image->channels > 2 ? "RGB"
					      : "grey");
	return NULL;
}

static cmsHTRANSFORM make_transform(const struct lcms *lcms, const struct encode_image *from,
	const struct encode_image *to, struct error *err)
{
	bool colour = to->channels > 2;
	/* A table in place of the curves of grey is too coarse where it is dark. */
	cmsUInt32Number flags = cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_COPY_ALPHA |
				(colour ? 0 : cmsFLAGS_NOOPTIMIZE);
	cmsHPROFILE source = open_source(lcms, from, err), target;
	cmsHTRANSFORM transform;

	if (!source)
		return NULL;
	target = make_target(lcms, colour);
	transform = lcms->cmsCreateTransform(source, layout_of(from), target, layout_of(to),
		INTENT_RELATIVE_COLORIMETRIC, flags);
	lcms->cmsCloseProfile(target);
	lcms->cmsCloseProfile(source);
	if (!transform)
		error_set(err, STATUS_BAD_DATA, "its colour profile says nothing to convert by");
	return transform;
}

/* Whether its colours are those of sRGB, by what the file says or for want of anything. */
static bool is_srgb(const struct encode_image *image)
{
	return !image->icc && (image->srgb || (!image->gamma && !has_chromaticities(image)));
}

static size_t row_bytes(const struct encode_image *image)
{
	return (size_t)image->width * image->channels * image->bits / 8;
}

int srgb_convert(struct encode_image *image, void **ret_pixels, struct error *err)
{
	struct encode_image made = {.width = image->width,
		.height = image->height,
		.channels = image->cmyk ? 3 : image->channels,
		.bits = image->bits,
		.srgb = 1 + INTENT_RELATIVE_COLORIMETRIC};
	const uint8_t *from = image->pixels;
	AUTO_FREE uint8_t *pixels = NULL;
	const struct lcms *lcms;
	cmsHTRANSFORM transform;
	int status = load(&lcms, err);

	if (status)
		return status;
	*ret_pixels = NULL;
	if (is_srgb(image))
		return STATUS_OK;
	pixels = reallocarray(NULL, image->height, row_bytes(&made));
	if (!pixels)
		return error_os(err, ENOMEM, "cannot convert the colours");
	transform = make_transform(lcms, image, &made, err);
	if (!transform)
		return err->status;
	for (size_t y = 0; y < image->height; y++)
		lcms->cmsDoTransform(transform, from + y * row_bytes(image),
			pixels + y * row_bytes(&made), image->width);
	lcms->cmsDeleteTransform(transform);
	made.pixels = *ret_pixels = steal_pointer(&pixels);
	*image = made;
	return STATUS_OK;
}

#else

int srgb_convert(struct encode_image *image, void **ret_pixels, struct error *err)
{
	(void)image;
	(void)ret_pixels;
	return error_set(err, STATUS_UNAVAILABLE,
		"--srgb: this shmsem was built without lcms2 (meson option 'srgb')");
}

#endif
