/* Errors on their way out of the library. */
#pragma once

#include "base/error.h"
#include "shmsem.h"

/* Fills *ret, which may be NULL, with what became of a call; returns `status`. *err counts only if
 * that is not STATUS_OK. */
int error_export(struct shmsem_error *ret, const struct error *err, int status);

/* The same of a call that succeeded. */
static inline int error_none(struct shmsem_error *ret)
{
	if (ret) {
		ret->status = ret->os_error = SHMSEM_OK;
		ret->message[0] = '\0';
	}
	return SHMSEM_OK;
}

/* The other way: what a callback said, as an internal error of `status`. */
int error_import(struct error *err, const struct shmsem_error *from, int status);
