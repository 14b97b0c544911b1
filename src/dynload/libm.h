/* What is used of libm, but for what compilers have instructions for. */
#pragma once

#include "dynload/dynload.h"

#include <math.h>

#define LIBM(F) \
	F(log)  \
	F(sin)

struct libm {
	LIBM(DYNLOAD_MEMBER)
};

extern struct libm libm;

int libm_load(struct error *err);

#define log libm.log
#define sin libm.sin
