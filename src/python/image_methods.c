/* shmsem.Image: what its users call. */
#include "python/errors.h"
#include "python/image.h"
#include "python/info.h"

/* ---- methods ---- */

static PyObject *method_close(PyObject *object, PyObject *unused)
{
	(void)unused;
	image_close((struct image_object *)object);
	return Py_NewRef(Py_None);
}

static PyObject *method_exit(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	(void)arguments;
	(void)count;
	return method_close(object, NULL);
}

static PyObject *image_enter(PyObject *object, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(object);
}

static PyObject *image_check(PyObject *object, PyObject *unused)
{
	const struct image_object *own = image_own((struct image_object *)object);
	struct shmsem_error error;

	(void)unused;
	if (!own)
		return NULL;
	return shmsem_check(&own->pixels.image, &error) ? error_raise(&error) : Py_NewRef(Py_None);
}

static int copy_into(const struct image_object *own, Py_buffer *view)
{
	size_t size = own->pixels.image.info.bytes;

	if ((size_t)view->len != size) {
		error_usage("the buffer has %zd bytes, the image %zu", view->len, size);
		return -1;
	}
	if (!PyBuffer_IsContiguous(view, 'C'))
		return PyBuffer_FromContiguous(view, image_samples(own), view->len, 'C');
	copy_bytes(view->buf, image_samples(own), size);
	return 0;
}

static PyObject *image_copy_into(PyObject *object, PyObject *buffer)
{
	PyObject *hold = image_hold((struct image_object *)object);
	Py_buffer view;
	int failed = !hold || PyObject_GetBuffer(buffer, &view, PyBUF_FULL);

	if (!failed) {
		failed = copy_into(hold_image(hold), &view);
		PyBuffer_Release(&view);
	}
	Py_XDECREF(hold);
	return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *image_bytes(PyObject *object, PyObject *unused)
{
	struct image_object *own = image_own((struct image_object *)object);

	(void)unused;
	return own ? PyBytes_FromStringAndSize(
			     image_samples(own), (Py_ssize_t)own->pixels.image.info.bytes)
		   : NULL;
}

static PyObject *image_tensor(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	PyObject *module = PyImport_ImportModule("shmsem.torch"), *function = NULL, *made = NULL;
	PyObject *copy = Py_False;

	if (count || (keywords && PyTuple_Size(keywords) > 1) ||
		(keywords && PyUnicode_CompareWithASCIIString(
				     PyTuple_GetItem(keywords, 0), "copy") != 0)) {
		PyErr_SetString(PyExc_TypeError, "tensor() takes the keyword 'copy' alone");
		Py_XDECREF(module);
		return NULL;
	}
	if (keywords)
		copy = arguments[0];
	if (module)
		function = PyObject_GetAttrString(module, "tensor");
	if (function)
		made = PyObject_CallFunctionObjArgs(function, object, copy, NULL);
	Py_XDECREF(function);
	Py_XDECREF(module);
	return made;
}

/* Through numpy: one that cannot say "read-only" in DLPack (before 2.1) refuses what is no copy. */
static PyObject *image_dlpack(PyObject *object, PyObject *arguments, PyObject *keywords)
{
	PyObject *numpy = PyImport_ImportModule("numpy"), *array = NULL, *method = NULL;
	PyObject *made = NULL;

	if (numpy)
		array = PyObject_CallMethod(numpy, "asarray", "O", object);
	if (array)
		method = PyObject_GetAttrString(array, "__dlpack__");
	if (method)
		made = PyObject_Call(method, arguments, keywords);
	Py_XDECREF(method);
	Py_XDECREF(array);
	Py_XDECREF(numpy);
	return made;
}

static PyObject *image_dlpack_device(PyObject *object, PyObject *unused)
{
	(void)object;
	(void)unused;
	return Py_BuildValue("(ii)", 1, 0); /* the CPU */
}

/* ---- pickling ---- */

static PyObject *function(const char *name)
{
	PyObject *module = PyImport_ImportModule("shmsem._shmsem"), *found;

	if (!module)
		return NULL;
	found = PyObject_GetAttrString(module, name);
	Py_DECREF(module);
	return found;
}

/* As its name and options; of a copy, which is the caller's own, the pixels, too. */
static PyObject *image_reduce(PyObject *object, PyObject *unused)
{
	struct image_object *self = (struct image_object *)object;
	const struct shmsem_info *info = &self->pixels.image.info;
	PyObject *keywords;

	(void)unused;
	if (!self->chosen.copy) {
		keywords = call_options_keywords(&self->chosen);
		return keywords ? Py_BuildValue("N(OON)", function("_fetch_again"), self->space,
					  self->name, keywords)
				: NULL;
	}
	return image_own(self) ? Py_BuildValue("N(OOy#y#O)", function("_restore"), self->space,
					 self->name, (const char *)info, (Py_ssize_t)sizeof *info,
					 (const char *)image_samples(self), (Py_ssize_t)info->bytes,
					 self->icc ? self->icc : Py_None)
			       : NULL;
}

/* ---- attributes ---- */

static PyObject *image_info(PyObject *object, void *unused)
{
	(void)unused;
	return info_new(&((struct image_object *)object)->pixels.image.info);
}

static PyObject *image_icc(PyObject *object, void *unused)
{
	struct image_object *self = (struct image_object *)object;
	Py_ssize_t size = self->pixels.image.info.icc_bytes;
	const struct image_object *own;

	(void)unused;
	if (!size)
		return Py_NewRef(Py_None);
	if (self->icc)
		return Py_NewRef(self->icc);
	own = image_own(self);
	return own ? PyBytes_FromStringAndSize(
			     own->pixels.image.icc, own->pixels.image.info.icc_bytes)
		   : NULL;
}

static PyObject *image_name(PyObject *object, void *unused)
{
	(void)unused;
	return Py_NewRef(((struct image_object *)object)->name);
}

static PyObject *image_shape(PyObject *object, void *unused)
{
	const Py_ssize_t *shape = ((struct image_object *)object)->pixels.shape;

	(void)unused;
	return Py_BuildValue("(nnn)", shape[0], shape[1], shape[2]);
}

static PyObject *image_dtype(PyObject *object, void *unused)
{
	bool deep = ((struct image_object *)object)->pixels.image.info.bits == 16;

	(void)unused;
	return PyUnicode_FromString(deep ? "uint16" : "uint8");
}

static PyObject *image_view(PyObject *object, void *unused)
{
	(void)unused;
	return image_own((struct image_object *)object) ? PyMemoryView_FromObject(object) : NULL;
}

/* For Pillow, which looks for nothing else; numpy takes the buffer. */
static PyObject *image_array_interface(PyObject *object, void *unused)
{
	static const uint16_t one = 1;
	bool deep = ((struct image_object *)object)->pixels.image.info.bits == 16;
	PyObject *view = image_view(object, unused), *shape;

	if (!view)
		return NULL;
	shape = image_shape(object, unused);
	return Py_BuildValue("{s:i,s:N,s:s,s:N}", "version", 3, "shape", shape, "typestr",
		!deep                    ? "|u1"
		: *(const uint8_t *)&one ? "<u2"
					 : ">u2",
		"data", view);
}

PyObject *image_repr(PyObject *object)
{
	struct image_object *self = (struct image_object *)object;

	return PyUnicode_FromFormat("<shmsem.Image %R %zdx%zdx%zd%s%s>", self->name,
		self->pixels.shape[1], self->pixels.shape[0], self->pixels.shape[2],
		self->pixels.image.info.bits == 16 ? " uint16" : "", self->closed ? " closed" : "");
}

PyGetSetDef image_attributes[] = {
	{"info", image_info, NULL, "What is known of it.", NULL},
	{"icc", image_icc, NULL, "Its colour profile, or None.", NULL},
	{"name", image_name, NULL, "What it was asked for by.", NULL},
	{"shape", image_shape, NULL, "Height, width and channels.", NULL},
	{"dtype", image_dtype, NULL, "'uint8' or 'uint16', in native byte order.", NULL},
	{"view", image_view, NULL, "A memoryview of the samples, in their shape.", NULL},
	{"__array_interface__", image_array_interface, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

PyMethodDef image_methods[] = {
	{"close", method_close, METH_NOARGS,
		"close($self, /)\n--\n\n"
		"Lets go of the image, as the end of a `with` does.\n\n"
		"Arrays and memoryviews that show it stay valid, and keep it held until they are\n"
		"gone."},
	{"check", image_check, METH_NOARGS,
		"check($self, /)\n--\n\n"
		"Raises BadDataError if the segment was truncated (see Connection, guard)."},
	{"copy_into", image_copy_into, METH_O,
		"copy_into($self, buffer, /)\n--\n\n"
		"Copies the samples into a writable buffer of their size."},
	{"tensor", METHOD(image_tensor), METH_FASTCALL | METH_KEYWORDS,
		"tensor($self, /, *, copy=False)\n--\n\n"
		"A torch tensor of height x width x channels, without a copy.\n\n"
		"Changing it raises RuntimeError, as the memory is shared; with copy=True it is "
		"the\n"
		"caller's own."},
	{"__enter__", image_enter, METH_NOARGS, NULL},
	{"__exit__", METHOD(method_exit), METH_FASTCALL, NULL},
	{"__bytes__", image_bytes, METH_NOARGS, NULL},
	{"__reduce__", image_reduce, METH_NOARGS, NULL},
	{"__dlpack__", METHOD(image_dlpack), METH_VARARGS | METH_KEYWORDS, NULL},
	{"__dlpack_device__", image_dlpack_device, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};
