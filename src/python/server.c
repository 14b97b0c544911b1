#include "python/server.h"

#include "python/connection.h"
#include "python/errors.h"
#include "python/image.h"

#include <stdlib.h>
#include <string.h>

/* How often a server that runs looks for signals. */
#define LOOK_NS UINT64_C(100000000)

struct server_object {
	PyObject_HEAD struct shmsem_server *server; /* NULL: closed */
	PyObject *make, *names;                     /* callables, or NULL */
	PyObject *frames;      /* a dict of what was published: from name to buffer */
	PyThreadState *runner; /* of the thread that runs it */
	bool running, stopping;
	unsigned generation;
};

static PyTypeObject *type, *request_type;

/* ---- what is asked for ---- */

static PyStructSequence_Field request_fields[] = {
	{"name", "a str"},
	{"scale", "1, 2, 4 or 8"},
	{"channels", "0 for as they are, 1, 3 or 4"},
	{"layout", "'rgb' or 'bgr'"},
	{"fit", "a width and a height, or zeros"},
	{"native_depth", NULL},
	{"keep_orientation", NULL},
	{"premultiply", NULL},
	{"strict", NULL},
	{"lenient", NULL},
	{NULL, NULL},
};

static PyObject *request_new(const struct shmsem_request *request)
{
	PyObject *values[] = {
		PyUnicode_DecodeUTF8(
			request->name, (Py_ssize_t)strlen(request->name), "surrogateescape"),
		PyLong_FromLong(request->scale ? request->scale : 1),
		PyLong_FromLong(request->channels),
		PyUnicode_FromString(request->layout == SHMSEM_BGR ? "bgr" : "rgb"),
		Py_BuildValue("(II)", request->fit_width, request->fit_height),
		PyBool_FromLong(request->flags & SHMSEM_NATIVE_DEPTH),
		PyBool_FromLong(request->flags & SHMSEM_KEEP_ORIENTATION),
		PyBool_FromLong(request->flags & SHMSEM_PREMULTIPLY),
		PyBool_FromLong(request->flags & SHMSEM_STRICT),
		PyBool_FromLong(request->flags & SHMSEM_LENIENT),
	};
	PyObject *made = PyStructSequence_New(request_type);

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (made)
			PyStructSequence_SetItem(made, (Py_ssize_t)i, values[i]);
		else
			Py_XDECREF(values[i]);
	if (PyErr_Occurred())
		Py_CLEAR(made);
	return made;
}

/* ---- answering ---- */

/* The geometry of a buffer: bytes, height x width, or height x width x channels. */
static int describe(const Py_buffer *view, struct shmsem_info *ret)
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

static int place(PyObject *made, struct shmsem_answer *answer, struct shmsem_error *error)
{
	struct shmsem_info info;
	Py_buffer view;
	void *pixels;
	int status = SHMSEM_INTERNAL;

	if (PyObject_GetBuffer(made, &view, PyBUF_FULL_RO)) {
		error_from_exception(error);
		return SHMSEM_INTERNAL;
	}
	if (describe(&view, &info)) {
		error_from_exception(error);
		PyBuffer_Release(&view);
		return status;
	}
	status = shmsem_place(answer, &info, &pixels, NULL, error);
	if (!status && pixels) {
		if (PyBuffer_IsContiguous(&view, 'C'))
			copy_bytes(pixels, view.buf, (size_t)view.len);
		else if (PyBuffer_ToContiguous(pixels, &view, view.len, 'C')) {
			error_from_exception(error);
			status = SHMSEM_INTERNAL;
		}
	}
	PyBuffer_Release(&view);
	return status;
}

/* What a callback raised: its client gets it as an error, and only what is no Exception, as
 * KeyboardInterrupt, ends the running. */
static int fail(struct server_object *self, struct shmsem_error *error)
{
	PyObject *type_raised, *value, *trace;

	if (!PyErr_ExceptionMatches(PyExc_Exception)) {
		PyErr_Fetch(&type_raised, &value, &trace);
		PyErr_Restore(type_raised, value, trace);
		shmsem_server_stop(self->server);
		return shmsem_fail(error, SHMSEM_UNAVAILABLE, "the server is stopping");
	}
	error_from_exception(error);
	return error->status;
}

static PyObject *find_frame(struct server_object *self, const struct shmsem_request *request)
{
	PyObject *asked = request_new(request), *made = NULL, *name;

	if (!asked)
		return NULL;
	name = PyObject_GetAttrString(asked, "name");
	made = name ? PyDict_GetItemWithError(self->frames, name) : NULL;
	Py_XINCREF(made);
	Py_XDECREF(name);
	if (!made && !PyErr_Occurred())
		made = self->make ? PyObject_CallFunctionObjArgs(self->make, asked, NULL)
				  : Py_NewRef(Py_None);
	Py_DECREF(asked);
	return made;
}

static int on_make(void *data, const struct shmsem_request *request, struct shmsem_answer *answer,
	struct shmsem_error *error)
{
	struct server_object *self = data;
	PyObject *made;
	int status;

	PyEval_RestoreThread(self->runner);
	made = PyErr_Occurred() ? NULL : find_frame(self, request);
	if (!made)
		status = fail(self, error);
	else if (made == Py_None)
		status = shmsem_fail(error, SHMSEM_NOT_FOUND, "no image '%s'", request->name);
	else
		status = place(made, answer, error);
	Py_XDECREF(made);
	self->runner = PyEval_SaveThread();
	return status;
}

/* Adds each name of an iterable. -1 with an exception, or with *error. */
static int add_names(PyObject *names, struct shmsem_answer *answer, struct shmsem_error *error)
{
	PyObject *iterator = names ? PyObject_GetIter(names) : NULL, *name, *keep;
	int failed = iterator ? 0 : -1;

	while (!failed && (name = PyIter_Next(iterator))) {
		const char *text = name_text(name, &keep);

		failed = text ? shmsem_add_name(answer, text, error) : -1;
		Py_XDECREF(keep);
		Py_DECREF(name);
	}
	Py_XDECREF(iterator);
	return failed || PyErr_Occurred() ? -1 : 0;
}

static int on_names(void *data, struct shmsem_answer *answer, struct shmsem_error *error)
{
	struct server_object *self = data;
	PyObject *frames, *others = NULL;
	int failed, status = SHMSEM_OK;

	PyEval_RestoreThread(self->runner);
	frames = PyDict_Keys(self->frames);
	failed = PyErr_Occurred() || add_names(frames, answer, error);
	if (!failed && self->names) {
		others = PyObject_CallNoArgs(self->names);
		failed = add_names(others, answer, error);
	}
	if (failed)
		status = PyErr_Occurred() ? fail(self, error) : error->status;
	Py_XDECREF(frames);
	Py_XDECREF(others);
	self->runner = PyEval_SaveThread();
	return status;
}

/* ---- running ---- */

static int check_open(const struct server_object *self)
{
	if (self->server && self->generation == process_generation)
		return 0;
	error_usage(self->server ? "this server was made before fork(); only the parent can run it"
				 : "the server was closed");
	return -1;
}

static int run_slice(struct server_object *self, uint64_t ns)
{
	struct shmsem_error error;
	int status;

	self->runner = PyEval_SaveThread();
	status = shmsem_server_run(self->server, ns, &error);
	PyEval_RestoreThread(self->runner);
	if (status)
		error_raise(&error);
	return PyErr_Occurred() || PyErr_CheckSignals() ? -1 : 0;
}

static PyObject *server_run(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *unused)
{
	struct server_object *self = (struct server_object *)object;
	uint64_t left = 0;
	int failed = 0;

	(void)unused;
	if (count > 1) {
		PyErr_SetString(PyExc_TypeError, "run() takes a time in seconds, or nothing");
		return NULL;
	}
	if (check_open(self) || (count && seconds_parse(arguments[0], &left)))
		return NULL;
	if (self->running)
		return error_usage("the server runs already");
	if (!left)
		left = UINT64_MAX;
	self->running = true;
	while (!failed && left && !self->stopping) {
		uint64_t slice = left < LOOK_NS ? left : LOOK_NS;

		failed = run_slice(self, slice);
		if (left != UINT64_MAX)
			left -= slice;
	}
	self->running = false;
	self->stopping = false;
	return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *server_stop(PyObject *object, PyObject *unused)
{
	struct server_object *self = (struct server_object *)object;

	(void)unused;
	if (check_open(self))
		return NULL;
	self->stopping = true;
	shmsem_server_stop(self->server);
	return Py_NewRef(Py_None);
}

/* ---- frames ---- */

/* A buffer of its own with the same samples and shape. */
static PyObject *copy_frame(PyObject *given)
{
	PyObject *view = PyMemoryView_FromObject(given), *bytes = NULL, *flat = NULL, *made = NULL;
	PyObject *format = NULL, *shape = NULL;

	if (view) {
		bytes = PyObject_CallMethod(view, "tobytes", NULL);
		format = PyObject_GetAttrString(view, "format");
		shape = PyObject_GetAttrString(view, "shape");
	}
	if (bytes && format && shape)
		flat = PyMemoryView_FromObject(bytes);
	if (flat)
		made = PyObject_CallMethod(flat, "cast", "OO", format, shape);
	Py_XDECREF(view);
	Py_XDECREF(bytes);
	Py_XDECREF(flat);
	Py_XDECREF(format);
	Py_XDECREF(shape);
	return made;
}

static PyObject *server_publish(PyObject *object, PyObject *arguments)
{
	struct server_object *self = (struct server_object *)object;
	struct shmsem_info info;
	PyObject *name, *given, *frame;
	Py_buffer view;
	int failed;

	if (!PyArg_ParseTuple(arguments, "UO", &name, &given) || check_open(self) ||
		PyObject_GetBuffer(given, &view, PyBUF_FULL_RO))
		return NULL;
	failed = describe(&view, &info);
	PyBuffer_Release(&view);
	frame = failed ? NULL : copy_frame(given);
	failed = !frame || PyDict_SetItem(self->frames, name, frame);
	Py_XDECREF(frame);
	return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *server_withdraw(PyObject *object, PyObject *name)
{
	struct server_object *self = (struct server_object *)object;

	return PyDict_DelItem(self->frames, name) ? NULL : Py_NewRef(Py_None);
}

/* ---- life ---- */

static int server_start(struct server_object *self, PyObject *space, unsigned long long memory,
	unsigned seats, unsigned mode)
{
	struct shmsem_serve_options options = {.memory = memory,
		.seats = seats,
		.mode = mode,
		.make = on_make,
		.names = on_names,
		.data = self};
	PyObject *resolved = space_resolve(space), *keep = NULL;
	struct shmsem_error error;

	if (resolved)
		options.name_space = name_text(resolved, &keep);
	if (options.name_space && shmsem_serve(&self->server, &options, &error))
		error_raise(&error);
	Py_XDECREF(keep);
	Py_XDECREF(resolved);
	return PyErr_Occurred() ? -1 : 0;
}

static PyObject *server_new(PyTypeObject *class, PyObject *arguments, PyObject *keywords)
{
	static char *words[] = {"make", "names", "namespace", "memory", "seats", "mode", NULL};
	PyObject *make = Py_None, *names = Py_None, *space = Py_None;
	unsigned long long memory = 0;
	unsigned seats = 0, mode = 0600;
	struct server_object *self;

	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O$OOKII", words, &make, &names,
		    &space, &memory, &seats, &mode))
		return NULL;
	self = (struct server_object *)PyType_GenericAlloc(class, 0);
	if (!self)
		return NULL;
	self->generation = process_generation;
	self->make = make == Py_None ? NULL : Py_NewRef(make);
	self->names = names == Py_None ? NULL : Py_NewRef(names);
	self->frames = PyDict_New();
	if (!self->frames || server_start(self, space, memory, seats, mode))
		Py_CLEAR(self);
	return (PyObject *)self;
}

static PyObject *server_close(PyObject *object, PyObject *unused)
{
	struct server_object *self = (struct server_object *)object;

	(void)unused;
	if (self->running)
		return error_usage("the server runs; stop it first");
	shmsem_server_close(self->server);
	self->server = NULL;
	return Py_NewRef(Py_None);
}

static PyObject *server_enter(PyObject *object, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(object);
}

static int server_traverse(PyObject *object, visitproc visit, void *arg)
{
	struct server_object *self = (struct server_object *)object;

	Py_VISIT(Py_TYPE(object));
	Py_VISIT(self->make);
	Py_VISIT(self->names);
	Py_VISIT(self->frames);
	return 0;
}

static int server_clear(PyObject *object)
{
	struct server_object *self = (struct server_object *)object;

	Py_CLEAR(self->make);
	Py_CLEAR(self->names);
	return 0;
}

static void server_dealloc(PyObject *object)
{
	struct server_object *self = (struct server_object *)object;
	PyTypeObject *class = Py_TYPE(object);

	PyObject_GC_UnTrack(object);
	shmsem_server_close(self->server);
	server_clear(object);
	Py_XDECREF(self->frames);
	PyObject_GC_Del(object);
	Py_DECREF(class);
}

static PyMethodDef methods[] = {
	{"run", METHOD(server_run), METH_FASTCALL | METH_KEYWORDS,
		"run($self, timeout=None, /)\n--\n\n"
		"Answers requests in this thread, for so many seconds or until stop()."},
	{"stop", server_stop, METH_NOARGS,
		"stop($self, /)\n--\n\nMakes run() return, now or at its next call. Any thread."},
	{"publish", server_publish, METH_VARARGS,
		"publish($self, name, pixels, /)\n--\n\n"
		"Hands out a copy of `pixels` by that name from now on, in place of what was\n"
		"published before. Any thread."},
	{"withdraw", server_withdraw, METH_O,
		"withdraw($self, name, /)\n--\n\nHands out nothing more by that name."},
	{"close", server_close, METH_NOARGS,
		"close($self, /)\n--\n\n"
		"Removes the server's objects. What clients hold stays theirs."},
	{"__enter__", server_enter, METH_NOARGS, NULL},
	{"__exit__", server_close, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
		"Server(make=None, *, names=None, namespace=None, memory=0, seats=0, mode=384)\n"
		"--\n\n"
		"Hands out what the program makes: to its clients it is like shmsem-serve(1).\n\n"
		"make(request) returns an array or any buffer of height x width (x channels) of\n"
		"8 or 16 bits, or None for no such image, or raises one of this module's errors;\n"
		"names() returns what there is. Or frames are published, which replace each\n"
		"other. `memory` is in bytes (512 MiB), `mode` the permissions."},
	{Py_tp_new, SLOT(server_new)},
	{Py_tp_dealloc, SLOT(server_dealloc)},
	{Py_tp_traverse, SLOT(server_traverse)},
	{Py_tp_clear, SLOT(server_clear)},
	{Py_tp_methods, methods},
	{0, NULL},
};

int server_init(PyObject *module)
{
	static PyStructSequence_Desc description = {
		.name = "shmsem.Request",
		.doc = "What a client asks a Server for: a named tuple.",
		.fields = request_fields,
		.n_in_sequence = (int)(sizeof request_fields / sizeof *request_fields) - 1,
	};
	PyType_Spec spec = {.name = "shmsem.Server",
		.basicsize = sizeof(struct server_object),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
		.slots = slots};

	type = (PyTypeObject *)PyType_FromSpec(&spec);
	request_type = PyStructSequence_NewType(&description);
	if (!type || !request_type || PyModule_AddObjectRef(module, "Server", (PyObject *)type))
		return -1;
	return PyModule_AddObjectRef(module, "Request", (PyObject *)request_type);
}
