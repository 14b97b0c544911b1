/*
 * Several images at a time.
 */
#pragma once

#include "python/connection.h"

/* A list of images, or of errors, too; and the array that images were copied into. */
PyObject *batch_fetch_many(
	struct connection_object *connection, PyObject *names, const struct call_options *chosen);
PyObject *batch_fetch_batch(
	struct connection_object *connection, PyObject *names, const struct call_options *chosen);

/* shmsem._shmsem._stack(images, out): the array of images that are there already. */
PyObject *batch_stack(PyObject *module, PyObject *arguments);
