#include "python/queue.h"

#include "python/connection.h"
#include "python/errors.h"
#include "python/image.h"
#include "python/names.h"

#include <stdlib.h>
#include <string.h>

/* A request on its way. */
struct pending {
	struct pending *previous, *next;
	PyObject *tag, *name;
	struct call_options chosen;
};

struct queue_object {
	PyObject_HEAD struct shmsem_queue *queue; /* NULL: closed */
	PyObject *space;
	struct pending *pending;
	unsigned generation;
};

static PyTypeObject *type;

static void forget(struct queue_object *self, struct pending *pending)
{
	if (pending->previous)
		pending->previous->next = pending->next;
	else
		self->pending = pending->next;
	if (pending->next)
		pending->next->previous = pending->previous;
	Py_DECREF(pending->tag);
	Py_DECREF(pending->name);
	free(pending);
}

static PyObject *queue_new(PyTypeObject *class, PyObject *arguments, PyObject *keywords)
{
	struct shmsem_connect_options options = {0};
	PyObject *space, *wait, *timeout, *server_user, *keep = NULL;
	struct queue_object *self;
	struct shmsem_error error;
	int guard;
	unsigned threads = 2;

	(void)class;
	(void)keywords;
	if (!PyArg_ParseTuple(
		    arguments, "OOOpOI", &space, &wait, &timeout, &guard, &server_user, &threads) ||
		seconds_parse(wait, "wait", &options.wait_ns) ||
		seconds_parse(timeout, "timeout", &options.timeout_ns) ||
		server_user_parse(server_user, &options))
		return NULL;
	options.flags |= guard ? SHMSEM_GUARD_SIGBUS : 0U;
	self = PyObject_New(struct queue_object, type);
	if (!self)
		return NULL;
	self->queue = NULL;
	self->pending = NULL;
	self->generation = process_generation;
	self->space = space_resolve(space);
	if (self->space)
		options.name_space = name_text(self->space, &keep);
	if (options.name_space && shmsem_queue_open(&self->queue, &options, threads, &error))
		error_raise(&error);
	Py_XDECREF(keep);
	if (PyErr_Occurred())
		Py_CLEAR(self);
	return (PyObject *)self;
}

static PyObject *queue_close(PyObject *object, PyObject *unused)
{
	struct queue_object *self = (struct queue_object *)object;
	struct shmsem_queue *queue = self->queue;

	(void)unused;
	self->queue = NULL;
	if (queue && self->generation == process_generation) {
		Py_BEGIN_ALLOW_THREADS shmsem_queue_close(queue);
		Py_END_ALLOW_THREADS
	}
	while (self->pending)
		forget(self, self->pending);
	return Py_NewRef(Py_None);
}

static void queue_dealloc(PyObject *object)
{
	PyTypeObject *class = Py_TYPE(object);

	Py_DECREF(queue_close(object, NULL));
	Py_XDECREF(((struct queue_object *)object)->space);
	PyObject_Free(object);
	Py_DECREF(class);
}

static struct queue_object *open_queue(PyObject *object)
{
	struct queue_object *self = (struct queue_object *)object;

	if (self->queue && self->generation == process_generation)
		return self;
	error_usage(self->queue ? "this queue was made before fork(); open one in the child"
				: "the connection was closed");
	return NULL;
}

/* submit(tag, name, **options): the tag comes first, so that the options are those of a fetch. */
static PyObject *queue_submit(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	struct queue_object *self = open_queue(object);
	const struct call call = {arguments + 1, count - 1, keywords};
	struct shmsem_request request;
	struct pending *pending;
	struct shmsem_error error;
	struct call_options chosen;
	PyObject *name, *keep;
	int status;

	if (!self || call_options_parse(&chosen, CALL_FETCH, &call, &name))
		return NULL;
	request = chosen.request;
	request.name = name_text(name, &keep);
	if (!request.name)
		return NULL;
	pending = calloc(1, sizeof *pending);
	if (!pending) {
		Py_DECREF(keep);
		return PyErr_NoMemory();
	}
	*pending = (struct pending){.next = self->pending,
		.tag = Py_NewRef(arguments[0]),
		.name = Py_NewRef(name),
		.chosen = chosen};
	if (self->pending)
		self->pending->previous = pending;
	self->pending = pending;
	status = shmsem_submit(self->queue, &request, pending, &error);
	Py_DECREF(keep);
	if (!status)
		return Py_NewRef(Py_None);
	forget(self, pending);
	return error_raise(&error);
}

/* The next (tag, image or exception), or None. */
static PyObject *queue_collect(PyObject *object, PyObject *unused)
{
	struct queue_object *self = open_queue(object);
	struct shmsem_result result;
	struct pending *pending;
	struct image_object *image;
	PyObject *value = NULL, *pair;

	(void)unused;
	if (!self)
		return NULL;
	if (shmsem_collect(self->queue, &result))
		return Py_NewRef(Py_None);
	pending = result.tag;
	if (result.status) {
		value = error_new(&result.error);
	} else {
		image = image_new(pending->name, self->space, &pending->chosen);
		if (image) {
			image->pixels.image = result.image;
			value = image_ready(image);
		} else {
			shmsem_release(&result.image);
		}
	}
	pair = value ? Py_BuildValue("(ON)", pending->tag, value) : NULL;
	forget(self, pending);
	return pair;
}

static PyObject *queue_fileno(PyObject *object, PyObject *unused)
{
	struct queue_object *self = open_queue(object);

	(void)unused;
	return self ? PyLong_FromLong(shmsem_fd(self->queue)) : NULL;
}

static PyMethodDef methods[] = {
	{"submit", METHOD(queue_submit), METH_FASTCALL | METH_KEYWORDS, NULL},
	{"collect", queue_collect, METH_NOARGS, NULL},
	{"fileno", queue_fileno, METH_NOARGS, NULL},
	{"close", queue_close, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_new, SLOT(queue_new)},
	{Py_tp_dealloc, SLOT(queue_dealloc)},
	{Py_tp_methods, methods},
	{0, NULL},
};

int queue_init(PyObject *module)
{
	PyType_Spec spec = {.name = "shmsem._shmsem.Queue",
		.basicsize = sizeof(struct queue_object),
		.flags = Py_TPFLAGS_DEFAULT,
		.slots = slots};

	type = (PyTypeObject *)PyType_FromSpec(&spec);
	return type ? PyModule_AddObjectRef(module, "Queue", (PyObject *)type) : -1;
}
