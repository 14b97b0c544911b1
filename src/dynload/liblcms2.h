/* What is used of lcms2. */
#pragma once

#include "dynload/dynload.h"

#include <lcms2.h>

#define LIBLCMS2(F)                    \
	F(cmsBuildGamma)               \
	F(cmsBuildParametricToneCurve) \
	F(cmsCloseProfile)             \
	F(cmsCreateGrayProfile)        \
	F(cmsCreateRGBProfile)         \
	F(cmsCreateTransform)          \
	F(cmsCreate_sRGBProfile)       \
	F(cmsD50_xyY)                  \
	F(cmsDeleteTransform)          \
	F(cmsDoTransform)              \
	F(cmsFreeToneCurve)            \
	F(cmsGetColorSpace)            \
	F(cmsOpenProfileFromMem)

struct liblcms2 {
	LIBLCMS2(DYNLOAD_MEMBER)
};

extern struct liblcms2 liblcms2;

int liblcms2_load(struct error *err);

#define cmsBuildGamma               liblcms2.cmsBuildGamma
#define cmsBuildParametricToneCurve liblcms2.cmsBuildParametricToneCurve
#define cmsCloseProfile             liblcms2.cmsCloseProfile
#define cmsCreateGrayProfile        liblcms2.cmsCreateGrayProfile
#define cmsCreateRGBProfile         liblcms2.cmsCreateRGBProfile
#define cmsCreateTransform          liblcms2.cmsCreateTransform
#define cmsCreate_sRGBProfile       liblcms2.cmsCreate_sRGBProfile
#define cmsD50_xyY                  liblcms2.cmsD50_xyY
#define cmsDeleteTransform          liblcms2.cmsDeleteTransform
#define cmsDoTransform              liblcms2.cmsDoTransform
#define cmsFreeToneCurve            liblcms2.cmsFreeToneCurve
#define cmsGetColorSpace            liblcms2.cmsGetColorSpace
#define cmsOpenProfileFromMem       liblcms2.cmsOpenProfileFromMem
