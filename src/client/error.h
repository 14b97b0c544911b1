/* Errors on their way out of the library. */
#pragma once

#include "base/error.h"
#include "shmsem.h"

/* Hands an internal error out, if there is one and somebody wants it; returns `status`. */
int error_export(struct shmsem_error *ret, const struct error *err, int status);

/* The other way: what a callback said, as an internal error of `status`. */
int error_import(struct error *err, const struct shmsem_error *from, int status);
