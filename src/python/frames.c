/* shmsem.Server: frames that are published, and buffers as images. */
#include "python/errors.h"
#include "python/image.h"
#include "python/names.h"
#include "python/options.h"
#include "python/server.h"

#include <string.h>

int frame_describe(const Py_buffer *view, struct shmsem_info *ret)
{
	Py_ssize_t channels = view->ndim == 3 ? view->shape[2] : 1;

	if (view->ndim < 1 || view->ndim > 3 || channels > 4 || view->itemsize > 2 ||
		(view->itemsize == 2 && (!view->format || !strpbrk(view->format, "Hh"))) ||
		view->shape[0] > INT32_MAX || (view->ndim > 1 && view->shape[1] > INT32_MAX)) {
		error_usage("an image is a buffer of height x width (x 1 to 4 channels) of 8 or 16 "
			    "bits, or of bytes");
		return -1;
	}
	*ret = (struct shmsem_info){
		.width = (uint32_t)view->shape[view->ndim == 1 ? 0 : 1],
		.height = view->ndim == 1 ? 1 : (uint32_t)view->shape[0],
		.channels = (uint8_t)channels,
		.bits = view->itemsize == 2 ? 16 : 8,
		.file_bits = view->itemsize == 2 ? 16 : 8,
		.file_channels = (uint8_t)channels,
	};
	return 0;
}

int frame_copy(void *to, Py_buffer *view)
{
	if (!PyBuffer_IsContiguous(view, 'C'))
		return PyBuffer_ToContiguous(to, view, view->len, 'C');
	copy_bytes(to, view->buf, (size_t)view->len);
	return 0;
}

int server_check(const struct server_object *self)
{
	if (self->server && self->generation == process_generation)
		return 0;
	error_usage(self->server ? "this server was made before fork(); only the parent can run it"
				 : "the server was closed");
	return -1;
}

void server_begin_publishing(struct server_object *self)
{
	if (pthread_mutex_trylock(&self->publishing) == 0)
		return;
	Py_BEGIN_ALLOW_THREADS pthread_mutex_lock(&self->publishing);
	Py_END_ALLOW_THREADS
}

void server_end_publishing(struct server_object *self)
{
	pthread_mutex_unlock(&self->publishing);
}

static int publish(struct server_object *self, const char *name, Py_buffer *view)
{
	struct shmsem_error error = {0};
	struct shmsem_info info;
	void *pixels;
	int failed = frame_describe(view, &info);

	if (failed)
		return failed;
	server_begin_publishing(self);
	/* It may have been closed while we waited. */
	failed = server_check(self);
	if (!failed &&
		(shmsem_prepare(self->server, &info, &pixels, NULL, &error) ||
			frame_copy(pixels, view) || shmsem_publish(self->server, name, &error))) {
		error_raise(&error);
		failed = -1;
	}
	server_end_publishing(self);
	return failed;
}

PyObject *server_publish(PyObject *object, PyObject *arguments)
{
	struct server_object *self = (struct server_object *)object;
	PyObject *name, *given, *keep;
	const char *text;
	Py_buffer view;
	int failed;

	if (!PyArg_ParseTuple(arguments, "OO", &name, &given) || server_check(self))
		return NULL;
	text = name_text(name, &keep);
	if (!text)
		return NULL;
	failed = PyObject_GetBuffer(given, &view, PyBUF_FULL_RO);
	if (!failed) {
		failed = publish(self, text, &view);
		PyBuffer_Release(&view);
	}
	if (!failed)
		failed = PySet_Add(self->published, keep);
	Py_DECREF(keep);
	return failed ? NULL : Py_NewRef(Py_None);
}

PyObject *server_withdraw(PyObject *object, PyObject *name)
{
	struct server_object *self = (struct server_object *)object;
	const char *text;
	PyObject *keep;
	int known;

	if (server_check(self))
		return NULL;
	text = name_text(name, &keep);
	if (!text)
		return NULL;
	known = PySet_Discard(self->published, keep);
	if (known > 0)
		shmsem_withdraw(self->server, text);
	else if (!known)
		PyErr_SetObject(PyExc_KeyError, name);
	Py_DECREF(keep);
	return known > 0 ? Py_NewRef(Py_None) : NULL;
}
