/*
 * Names of images as Python has them.
 */
#pragma once

#include "python/python.h"

/*
 * The bytes of a name: str, bytes or os.PathLike. *ret_keep owns them, and is to be given to
 * Py_XDECREF afterwards. NULL with an exception.
 */
const char *name_text(PyObject *name, PyObject **ret_keep);

/* The names of a call for several, as a new list; NULL with an exception. */
PyObject *names_list(PyObject *names);
