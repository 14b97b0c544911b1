/*
 * Errors of the library as exceptions of the package (shmsem/_errors.py).
 */
#pragma once

#include "python/python.h"

/* Finds the exceptions; -1 with an exception. */
int errors_init(void);

/* The exception of an error, not raised; NULL with another if there is no memory. */
PyObject *error_new(const struct shmsem_error *error);

/* Raises it, unless an exception (of a signal handler) is raised already; NULL. */
PyObject *error_raise(const struct shmsem_error *error);

/* Raises shmsem.UsageError; NULL. */
PyObject *error_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The exception that is raised, as an error of the library; it is no longer raised then. */
void error_from_exception(struct shmsem_error *ret);
