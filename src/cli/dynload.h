/*
 * Libraries for what is rarely wanted: loaded when it is, so that nothing else pays for their
 * start.
 */
#pragma once

#include "base/error.h"

struct dynload_function {
	const char *name;
	void **place;
};

/*
 * Loads a library, for good, and fills the places of its functions; the last row has no name. Not
 * for two threads at once. STATUS_UNAVAILABLE, telling that the option needs it, if that fails.
 */
int dynload_load(const char *object, const char *option, const struct dynload_function *functions,
	struct error *err);

/* A row for `library->name`, a pointer to the function of that name. */
#define LATE_FUNCTION(library, function)                \
	{                                               \
#function, (void **)&(library).function \
	}
