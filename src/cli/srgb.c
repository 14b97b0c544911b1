#include "cli/srgb.h"

#include "config.h"

#if SHMSEM_SRGB

#include "base/cleanup.h"
#include "dynload/liblcms2.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static cmsToneCurve *make_srgb_curve(void)
{
	/* IEC 61966-2-1 */
	static const double curve[] = {2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045};

	return cmsBuildParametricToneCurve(NULL, 4, curve);
}

/* sRGB, or grey with its curve. */
static cmsHPROFILE make_target(bool colour)
{
	cmsToneCurve *curve;
	cmsHPROFILE grey;

	if (colour)
		return cmsCreate_sRGBProfile();
	curve = make_srgb_curve();
	grey = cmsCreateGrayProfile(cmsD50_xyY(), curve);
	cmsFreeToneCurve(curve);
	return grey;
}

static bool has_chromaticities(const struct encode_image *image)
{
	static const int32_t none[8];

	return memcmp(image->chromaticities, none, sizeof none) != 0;
}

/* The profile that gAMA and cHRM of a PNG come to; where one is missing, sRGB's takes its place. */
static cmsHPROFILE make_source(const struct encode_image *image)
{
	static const int32_t srgb[8] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
	const int32_t *at = has_chromaticities(image) ? image->chromaticities : srgb;
	const cmsCIExyY white = {at[0] / 1e5, at[1] / 1e5, 1};
	const cmsCIExyYTRIPLE primaries = {{at[2] / 1e5, at[3] / 1e5, 1},
		{at[4] / 1e5, at[5] / 1e5, 1}, {at[6] / 1e5, at[7] / 1e5, 1}};
	cmsToneCurve *curve = image->gamma ? cmsBuildGamma(NULL, 1e5 / image->gamma)
					   : make_srgb_curve();
	cmsToneCurve *curves[] = {curve, curve, curve};
	cmsHPROFILE profile;

	if (!curve)
		return NULL;
	profile = image->channels > 2 ? cmsCreateRGBProfile(&white, &primaries, curves)
				      : cmsCreateGrayProfile(cmsD50_xyY(), curve);
	cmsFreeToneCurve(curve);
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

static cmsHPROFILE open_source(const struct encode_image *image, struct error *err)
{
	cmsColorSpaceSignature space = image->cmyk           ? cmsSigCmykData
				       : image->channels > 2 ? cmsSigRgbData
							     : cmsSigGrayData;
	cmsHPROFILE source = image->icc ? cmsOpenProfileFromMem(
						  image->icc, (cmsUInt32Number)image->icc_bytes)
					: make_source(image);

	if (source && cmsGetColorSpace(source) == space)
		return source;
	if (source)
		cmsCloseProfile(source);
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

static cmsHTRANSFORM make_transform(
	const struct encode_image *from, const struct encode_image *to, struct error *err)
{
	bool colour = to->channels > 2;
	/* A table in place of the curves of grey is too coarse where it is dark. */
	cmsUInt32Number flags = cmsFLAGS_BLACKPOINTCOMPENSATION | cmsFLAGS_COPY_ALPHA |
				(colour ? 0 : cmsFLAGS_NOOPTIMIZE);
	cmsHPROFILE source = open_source(from, err), target;
	cmsHTRANSFORM transform;

	if (!source)
		return NULL;
	target = make_target(colour);
	transform = cmsCreateTransform(source, layout_of(from), target, layout_of(to),
		INTENT_RELATIVE_COLORIMETRIC, flags);
	cmsCloseProfile(target);
	cmsCloseProfile(source);
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
	cmsHTRANSFORM transform;
	int status = liblcms2_load(err);

	if (status)
		return status;
	*ret_pixels = NULL;
	if (is_srgb(image))
		return STATUS_OK;
	pixels = reallocarray(NULL, image->height, row_bytes(&made));
	if (!pixels)
		return error_os(err, ENOMEM, "cannot convert the colours");
	transform = make_transform(image, &made, err);
	if (!transform)
		return err->status;
	for (size_t y = 0; y < image->height; y++)
		cmsDoTransform(transform, from + y * row_bytes(image),
			pixels + y * row_bytes(&made), image->width);
	cmsDeleteTransform(transform);
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
