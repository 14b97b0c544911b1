#include "python/image.h"

#include "python/errors.h"

#include <stdlib.h>
#include <string.h>

/* Below this, letting go of Python's lock costs more than the copy. */
#define COPY_LOCKED_MAX 65536

#define SPARES_MAX 16

/* What buffers refer to, and not the image itself: code that wants bytes refuses objects whose
 * buffers are to be released. */
struct hold_object {
	PyObject_HEAD struct image_object *image;
};

static PyTypeObject *type, *hold_type;

/* Memory of images that are gone, which is faster to have than new one: a list by `again`. */
static struct image_object *spares;
static unsigned spare_count;

PyObject *(*image_fetch_again)(PyObject *space, PyObject *name, const struct call_options *chosen);

void copy_bytes(void *to, const void *from, size_t size)
{
	if (size <= COPY_LOCKED_MAX) {
		memcpy(to, from, size);
		return;
	}
	Py_BEGIN_ALLOW_THREADS memcpy(to, from, size);
	Py_END_ALLOW_THREADS
}

/* ---- pixels ---- */

static void pixels_release(struct pixels *pixels)
{
	shmsem_release(&pixels->image);
	free(pixels->copy);
	pixels->copy = NULL;
}

const void *image_samples(const struct image_object *self)
{
	const struct pixels *pixels = &self->pixels;

	return pixels->copy ? pixels->copy : pixels->image.pixels;
}

/* ---- life ---- */

static struct image_object *take_memory(void)
{
	struct image_object *self = spares;

	if (!self)
		return PyObject_New(struct image_object, type);
	spares = self->again;
	spare_count--;
	return (struct image_object *)PyObject_Init((PyObject *)self, type);
}

static void give_memory(struct image_object *self)
{
	if (spare_count == SPARES_MAX) {
		PyObject_Free(self);
		return;
	}
	self->again = spares;
	spares = self;
	spare_count++;
}

struct image_object *image_new(PyObject *name, PyObject *space, const struct call_options *chosen)
{
	struct image_object *self = take_memory();

	if (!self)
		return NULL;
	self->pixels.image.connection = NULL;
	self->pixels.copy = NULL;
	self->hold = NULL;
	self->again = NULL;
	self->icc = NULL;
	self->chosen = *chosen;
	self->name = Py_NewRef(name);
	self->space = Py_NewRef(space);
	self->generation = process_generation;
	self->closed = false;
	return self;
}

static int take_copy(struct image_object *self)
{
	struct shmsem_image *image = &self->pixels.image;

	self->pixels.copy = malloc(image->info.bytes);
	if (image->icc)
		self->icc = PyBytes_FromStringAndSize(image->icc, image->info.icc_bytes);
	if (!self->pixels.copy || (image->icc && !self->icc)) {
		PyErr_NoMemory();
		return -1;
	}
	copy_bytes(self->pixels.copy, image->pixels, image->info.bytes);
	shmsem_release(image);
	return 0;
}

static void set_shape(struct pixels *pixels)
{
	const struct shmsem_info *info = &pixels->image.info;

	pixels->shape[0] = info->height;
	pixels->shape[1] = info->width;
	pixels->shape[2] = info->channels;
	pixels->strides[0] = info->stride;
	pixels->strides[1] = info->channels * (info->bits / 8);
	pixels->strides[2] = info->bits / 8;
}

PyObject *image_ready(struct image_object *self)
{
	set_shape(&self->pixels);
	if (self->chosen.copy && take_copy(self)) {
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	return (PyObject *)self;
}

void image_close(struct image_object *self)
{
	self->closed = true;
	if (!self->hold)
		pixels_release(&self->pixels);
	if (self->again)
		image_close(self->again);
}

static void image_dealloc(PyObject *object)
{
	struct image_object *self = (struct image_object *)object;
	PyTypeObject *class = Py_TYPE(object);

	pixels_release(&self->pixels);
	Py_XDECREF((PyObject *)self->again);
	Py_XDECREF(self->icc);
	Py_DECREF(self->name);
	Py_DECREF(self->space);
	give_memory(self);
	Py_DECREF(class);
}

/*
 * In a child of fork() what is held is the parent's, who may release it: the child fetches anew.
 * What showed the image before the fork goes on showing the parent's pixels.
 */
struct image_object *image_own(struct image_object *self)
{
	if (self->closed) {
		PyErr_SetString(PyExc_ValueError, "the image was closed");
		return NULL;
	}
	if (self->generation == process_generation || self->chosen.copy)
		return self;
	if (self->again && self->again->generation == process_generation)
		return self->again;
	Py_CLEAR(self->again);
	self->again = (struct image_object *)image_fetch_again(
		self->space, self->name, &self->chosen);
	return self->again;
}

PyObject *image_hold(struct image_object *self)
{
	struct image_object *own = image_own(self);
	struct hold_object *hold;

	if (!own)
		return NULL;
	if (own->hold)
		return Py_NewRef(own->hold);
	hold = PyObject_New(struct hold_object, hold_type);
	if (!hold)
		return NULL;
	Py_INCREF((PyObject *)own);
	hold->image = own;
	own->hold = (PyObject *)hold;
	return own->hold;
}

struct image_object *hold_image(PyObject *hold)
{
	return ((struct hold_object *)hold)->image;
}

static void hold_dealloc(PyObject *object)
{
	struct image_object *image = hold_image(object);
	PyTypeObject *class = Py_TYPE(object);

	image->hold = NULL;
	if (image->closed)
		pixels_release(&image->pixels);
	Py_DECREF((PyObject *)image);
	PyObject_Free(object);
	Py_DECREF(class);
}

PyObject *image_restore(PyObject *module, PyObject *arguments)
{
	PyObject *space, *name, *icc;
	struct call_options chosen = {.copy = true};
	struct image_object *self;
	Py_ssize_t info_size, size;
	const char *info, *data;

	(void)module;
	if (!PyArg_ParseTuple(
		    arguments, "OOy#y#O", &space, &name, &info, &info_size, &data, &size, &icc))
		return NULL;
	self = image_new(name, space, &chosen);
	if (!self)
		return NULL;
	self->pixels.copy = malloc((size_t)size + 1);
	if (info_size == (Py_ssize_t)sizeof self->pixels.image.info)
		memcpy(&self->pixels.image.info, info, sizeof self->pixels.image.info);
	else
		self->pixels.image.info.bytes = UINT64_MAX;
	if (!self->pixels.copy || self->pixels.image.info.bytes != (uint64_t)size) {
		Py_DECREF((PyObject *)self);
		return error_usage("this is no pickled copy of an image");
	}
	memcpy(self->pixels.copy, data, (size_t)size);
	self->icc = icc == Py_None ? NULL : Py_NewRef(icc);
	set_shape(&self->pixels);
	return (PyObject *)self;
}

/* ---- buffers ---- */

static int refuse(const char *why)
{
	PyErr_SetString(PyExc_BufferError, why);
	return -1;
}

static int image_getbuffer(PyObject *object, Py_buffer *view, int flags)
{
	struct image_object *self = (struct image_object *)object;
	struct image_object *own;
	struct pixels *pixels;
	PyObject *hold;
	bool deep;

	view->obj = NULL;
	if (self->closed)
		return refuse("the image was closed");
	if (flags & PyBUF_WRITABLE && !self->chosen.copy)
		return refuse("the image is shared memory, which is read-only; fetch it with "
			      "copy=True");
	if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS)
		return refuse("the image is stored row by row");
	hold = image_hold(self);
	if (!hold)
		return -1;
	own = hold_image(hold);
	pixels = &own->pixels;
	deep = pixels->image.info.bits == 16;
	*view = (Py_buffer){
		.buf = (void *)image_samples(own),
		.obj = hold,
		.len = (Py_ssize_t)pixels->image.info.bytes,
		.itemsize = deep ? 2 : 1,
		.readonly = !self->chosen.copy,
		.ndim = flags & PyBUF_ND ? 3 : 1,
		.format = flags & PyBUF_FORMAT ? (deep ? "H" : "B") : NULL,
		.shape = flags & PyBUF_ND ? pixels->shape : NULL,
		.strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? pixels->strides : NULL,
	};
	return 0;
}

static PyType_Slot slots[] = {
	{Py_tp_doc, "An image in shared memory: give it to numpy.asarray, or take its view.\n\n"
		    "It is held until it is closed, or gone, and nothing shows it any more."},
	{Py_tp_dealloc, SLOT(image_dealloc)},
	{Py_tp_repr, SLOT(image_repr)},
	{Py_tp_methods, image_methods},
	{Py_tp_getset, image_attributes},
	{Py_bf_getbuffer, SLOT(image_getbuffer)},
	{0, NULL},
};

static PyType_Slot hold_slots[] = {
	{Py_tp_dealloc, SLOT(hold_dealloc)},
	{0, NULL},
};

int image_init(PyObject *module)
{
	PyType_Spec spec = {.name = "shmsem.Image",
		.basicsize = sizeof(struct image_object),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
		.slots = slots};

	PyType_Spec hold_spec = {.name = "shmsem._shmsem.Hold",
		.basicsize = sizeof(struct hold_object),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
		.slots = hold_slots};

	type = (PyTypeObject *)PyType_FromSpec(&spec);
	hold_type = (PyTypeObject *)PyType_FromSpec(&hold_spec);
	return type && hold_type ? PyModule_AddObjectRef(module, "Image", (PyObject *)type) : -1;
}
