/*
 * shmsem.Info: what is known of an image, a named tuple.
 */
#pragma once

#include "python/python.h"

/* Makes the type, and puts it into the module; -1 with an exception. */
int info_init(PyObject *module);

PyObject *info_new(const struct shmsem_info *info);
