/*
 * shmsem.Image: an image that is held, and shown by the buffer protocol. It stays held after it was
 * closed for as long as anything shows it.
 */
#pragma once

#include "python/options.h"
#include "python/python.h"

/* Pixels for as long as they are needed: those of a held image, or a copy. */
struct pixels {
	struct shmsem_image image; /* of a copy, its info alone */
	void *copy;                /* or NULL */
	Py_ssize_t shape[3], strides[3];
};

struct image_object {
	PyObject_HEAD struct pixels pixels;
	PyObject *hold;             /* of what shows it, which has a reference to us; or NULL */
	struct image_object *again; /* fetched in a child of fork(), or NULL */
	PyObject *icc;              /* the colour profile of a copy, or NULL */
	struct call_options chosen; /* how it was asked for */
	PyObject *name, *space;     /* str or bytes; str */
	unsigned generation;
	bool closed;
};

/* Makes the types, and puts Image into the module; -1 with an exception. */
int image_init(PyObject *module);

/* An image that is still to be fetched, into pixels.image: then image_ready must follow. It is let
 * go of by Py_DECREF. */
struct image_object *image_new(PyObject *name, PyObject *space, const struct call_options *chosen);

/* Makes a copy if one was asked for, and lets go of what is held. NULL with an exception, the
 * object gone, if there is no memory. */
PyObject *image_ready(struct image_object *self);

/* The image that is open and this process's own: itself, or the one that was fetched again, borrowed.
 * NULL with an exception. */
struct image_object *image_own(struct image_object *self);

/* The same, by a new reference to its hold: the pixels stay until that is gone, whatever closes the
 * image. */
PyObject *image_hold(struct image_object *self);
struct image_object *hold_image(PyObject *hold);

const void *image_samples(const struct image_object *self);

/* Copies `size` bytes, without Python's lock if they are many. */
void copy_bytes(void *to, const void *from, size_t size);

/* shmsem._shmsem._restore: a copy as Image.__reduce__ took it apart. */
PyObject *image_restore(PyObject *module, PyObject *arguments);

/* How an image is fetched again in a child of fork(): set by module.c. */
extern PyObject *(*image_fetch_again)(
	PyObject *space, PyObject *name, const struct call_options *chosen);

/* The rest of the type: image_methods.c. */
extern PyMethodDef image_methods[];
extern PyGetSetDef image_attributes[];
PyObject *image_repr(PyObject *object);
void image_close(struct image_object *self);
