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
	__typeof__(cmsFreeToneCurve) *cmsFreeToneCurve;
	__typeof__(cmsCreateGrayProfile) *cmsCreateGrayProfile;
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
		LATE_FUNCTION(lcms, cmsFreeToneCurve),
		LATE_FUNCTION(lcms, cmsCreateGrayProfile),
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

/* Grey with the curve of sRGB (IEC 61966-2-1), or sRGB. */
static cmsHPROFILE make_target(const struct lcms *lcms, bool colour)
{
	static const double curve[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};
	cmsToneCurve *tone;
	cmsHPROFILE grey;

	if (colour)
		return lcms->cmsCreate_sRGBProfile();
	tone = lcms->cmsBuildParametricToneCurve(NULL, 4, curve);
	grey = lcms->cmsCreateGrayProfile(lcms->cmsD50_xyY(), tone);
	lcms->cmsFreeToneCurve(tone);
	return grey;
}

static cmsHTRANSFORM make_transform(
	const struct lcms *lcms, const struct encode_image *image, struct error *err)
{
	bool colour = image->channels > 2, alpha = image->channels % 2 == 0;
	cmsUInt32Number layout = COLORSPACE_SH(colour ? PT_RGB : PT_GRAY) |
				 CHANNELS_SH(colour ? 3 : 1) | EXTRA_SH(alpha) |
				 BYTES_SH(image->bits / 8U);
	cmsHPROFILE source = lcms->cmsOpenProfileFromMem(
			    image->icc, (cmsUInt32Number)image->icc_bytes),
		    target;
	cmsHTRANSFORM transform = NULL;
	/* A table in place of the curves of grey is too coarse where it is dark. */
	cmsUInt32Number flags = cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_COPY_ALPHA |
				(colour ? 0 : cmsFLAGS_NOOPTIMIZE);

	if (!source ||
		lcms->cmsGetColorSpace(source) != (colour ? cmsSigRgbData : cmsSigGrayData)) {
		error_set(err, STATUS_BAD_DATA,
			"its colour profile is broken, or not one for %s, so it cannot be "
			"converted",
			colour ? "RGB" : "grey");
	} else {
		target = make_target(lcms, colour);
		transform = lcms->cmsCreateTransform(
			source, layout, target, layout, INTENT_RELATIVE_COLORIMETRIC, flags);
		lcms->cmsCloseProfile(target);
		if (!transform)
			error_set(err, STATUS_BAD_DATA,
				"its colour profile says nothing to convert by");
	}
	if (source)
		lcms->cmsCloseProfile(source);
	return transform;
}

int srgb_convert(struct encode_image *image, void **ret_pixels, struct error *err)
{
	size_t row = (size_t)image->width * image->channels * image->bits / 8;
	const uint8_t *from = image->pixels;
	AUTO_FREE uint8_t *pixels = NULL;
	const struct lcms *lcms;
	cmsHTRANSFORM transform;
	int status = load(&lcms, err);

	if (status)
		return status;
	*ret_pixels = NULL;
	if (!image->icc)
		return STATUS_OK;
	pixels = reallocarray(NULL, image->height, row);
	if (!pixels)
		return error_os(err, ENOMEM, "cannot convert the colours");
	transform = make_transform(lcms, image, err);
	if (!transform)
		return err->status;
	for (size_t y = 0; y < image->height; y++)
		lcms->cmsDoTransform(transform, from + y * row, pixels + y * row, image->width);
	lcms->cmsDeleteTransform(transform);
	image->pixels = *ret_pixels = steal_pointer(&pixels);
	image->icc = NULL;
	image->icc_bytes = 0;
	image->gamma = 0;
	memset(image->chromaticities, 0, sizeof image->chromaticities);
	image->srgb = 1 + INTENT_RELATIVE_COLORIMETRIC;
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
