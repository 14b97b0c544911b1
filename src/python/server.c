#include "python/server.h"

#include "python/connection.h"
#include "python/errors.h"
#include "python/names.h"

/* How often a server that runs looks for signals. */
#define LOOK_NS UINT64_C(100000000)

/* Names that may be published at a time. */
#define KEPT 64

static PyTypeObject *type;

/* ---- running ---- */

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
	if (server_check(self) || (count && seconds_parse(arguments[0], "timeout", &left)))
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
	if (server_check(self))
		return NULL;
	self->stopping = true;
	shmsem_server_stop(self->server);
	return Py_NewRef(Py_None);
}

/* ---- life ---- */

static int server_start(struct server_object *self, PyObject *space, unsigned long long memory,
	unsigned seats, unsigned mode, unsigned kept)
{
	struct shmsem_serve_options options = {.memory = memory,
		.seats = seats,
		.mode = mode,
		.make = self->make ? server_on_make : NULL,
		.names = self->names ? server_on_names : NULL,
		.data = self,
		.kept = kept};
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
	static char *words[] = {
		"make", "names", "namespace", "memory", "seats", "mode", "kept", NULL};
	PyObject *make = Py_None, *names = Py_None, *space = Py_None;
	unsigned long long memory = 0;
	unsigned seats = 0, mode = 0600, kept = KEPT;
	struct server_object *self;

	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O$OOKIII", words, &make, &names,
		    &space, &memory, &seats, &mode, &kept))
		return NULL;
	self = (struct server_object *)PyType_GenericAlloc(class, 0);
	if (!self)
		return NULL;
	self->generation = process_generation;
	self->make = make == Py_None ? NULL : Py_NewRef(make);
	self->names = names == Py_None ? NULL : Py_NewRef(names);
	self->published = PySet_New(NULL);
	pthread_mutex_init(&self->publishing, NULL);
	if (!self->published || server_start(self, space, memory, seats, mode, kept))
		Py_CLEAR(self);
	return (PyObject *)self;
}

static PyObject *server_close(PyObject *object, PyObject *unused)
{
	struct server_object *self = (struct server_object *)object;

	(void)unused;
	if (self->running)
		return error_usage("the server runs; stop it first");
	server_begin_publishing(self);
	shmsem_server_close(self->server);
	self->server = NULL;
	server_end_publishing(self);
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
	Py_VISIT(self->published);
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
	Py_XDECREF(self->published);
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
		"published before. Clients find it without asking this program, which need not\n"
		"run() for that. TryAgainError, and the frame is dropped, if frames that clients\n"
		"hold leave no room. Any thread."},
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
		"Server(make=None, *, names=None, namespace=None, memory=0, seats=0, mode=384,\n"
		"       kept=64)\n"
		"--\n\n"
		"Hands out what the program makes: to its clients it is like shmsem-serve(1).\n\n"
		"make(request) returns an array or any buffer of height x width (x channels) of\n"
		"8 or 16 bits, or None for no such image, or raises one of this module's errors;\n"
		"names() returns what there is. Or frames are published, which replace each\n"
		"other, up to `kept` of them at a time. `memory` is in bytes (512 MiB), `mode` "
		"the\n"
		"permissions."},
	{Py_tp_new, SLOT(server_new)},
	{Py_tp_dealloc, SLOT(server_dealloc)},
	{Py_tp_traverse, SLOT(server_traverse)},
	{Py_tp_clear, SLOT(server_clear)},
	{Py_tp_methods, methods},
	{0, NULL},
};

int server_init(PyObject *module)
{
	PyType_Spec spec = {.name = "shmsem.Server",
		.basicsize = sizeof(struct server_object),
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
		.slots = slots};

	type = (PyTypeObject *)PyType_FromSpec(&spec);
	if (!type || PyModule_AddObjectRef(module, "Server", (PyObject *)type))
		return -1;
	return server_answers_init(module);
}
