#include "python/connection.h"

#include "python/batch.h"
#include "python/errors.h"
#include "python/image.h"
#include "python/info.h"

#include <stdlib.h>
#include <string.h>

static PyTypeObject *type;

/* ---- the client ---- */

/* Others run while the call waits; a signal's handler may end it by an exception. */
static int on_wait(void *data, int waits)
{
	struct connection_object *self = data;

	if (waits) {
		self->sleeper = PyEval_SaveThread();
		return 0;
	}
	PyEval_RestoreThread(self->sleeper);
	if (!self->raised && PyErr_CheckSignals())
		self->raised = true;
	return self->raised;
}

/* What was made before fork() is the parent's, and used perhaps by a thread that is not here. */
static void forget_parent(struct connection_object *self)
{
	if (self->generation == process_generation)
		return;
	self->generation = process_generation;
	self->client = NULL;
	self->used = self->raised = false;
	self->waiting = 0;
	sem_init(&self->turns, 0, 0);
}

/* Waits until the thread that uses the client may have given it back. */
static int await_turn(struct connection_object *self)
{
	int interrupted;

	if (pthread_equal(self->user, pthread_self())) {
		error_usage("the connection is in use by the call that was interrupted");
		return -1;
	}
	self->waiting++;
	Py_BEGIN_ALLOW_THREADS interrupted = sem_wait(&self->turns);
	Py_END_ALLOW_THREADS self->waiting--;
	return interrupted ? PyErr_CheckSignals() : 0;
}

static int take_turn(struct connection_object *self)
{
	while (self->used)
		if (await_turn(self))
			return -1;
	self->used = true;
	self->user = pthread_self();
	return 0;
}

int connection_enter(struct connection_object *self)
{
	struct shmsem_error error;

	forget_parent(self);
	if (take_turn(self))
		return -1;
	if (self->closed) {
		error_usage("the connection was closed");
		connection_leave(self);
		return -1;
	}
	if (self->client || !shmsem_connect(&self->client, &self->options, &error))
		return 0;
	error_raise(&error);
	connection_leave(self);
	return -1;
}

int connection_leave(struct connection_object *self)
{
	int raised = self->raised;

	self->raised = self->used = false;
	if (self->waiting)
		sem_post(&self->turns);
	return raised ? -1 : 0;
}

/* ---- calls ---- */

PyObject *connection_fetch(
	struct connection_object *self, PyObject *name, const struct asked *asked)
{
	struct shmsem_request request = asked->request;
	struct image_object *image;
	struct shmsem_error error;
	PyObject *keep;
	bool fetched = false;
	int status;

	request.name = name_text(name, &keep);
	if (!request.name)
		return NULL;
	image = image_new(name, self->space, asked);
	if (image && !connection_enter(self)) {
		status = shmsem_fetch(self->client, &request, &image->pixels.image, &error);
		fetched = !connection_leave(self) && !status;
		if (!fetched)
			error_raise(&error);
	}
	Py_DECREF(keep);
	if (fetched)
		return image_ready(image);
	Py_XDECREF((PyObject *)image);
	return NULL;
}

PyObject *connection_info(struct connection_object *self, PyObject *name, const struct asked *asked)
{
	struct shmsem_request request = asked->request;
	struct shmsem_error error;
	struct shmsem_info info;
	bool known = false;
	PyObject *keep;
	int status;

	request.name = name_text(name, &keep);
	if (!request.name)
		return NULL;
	if (!connection_enter(self)) {
		status = shmsem_info(self->client, &request, &info, &error);
		known = !connection_leave(self) && !status;
		if (!known)
			error_raise(&error);
	}
	Py_DECREF(keep);
	return known ? info_new(&info) : NULL;
}

static int add_name(void *list, const char *name)
{
	PyObject *text = PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "surrogateescape");
	int failed = text ? PyList_Append(list, text) : -1;

	Py_XDECREF(text);
	return failed;
}

PyObject *connection_names(struct connection_object *self)
{
	PyObject *list = PyList_New(0);
	struct shmsem_error error;

	if (!list || connection_enter(self)) {
		Py_XDECREF(list);
		return NULL;
	}
	if (shmsem_names(self->client, add_name, list, &error))
		error_raise(&error);
	connection_leave(self);
	if (PyErr_Occurred())
		Py_CLEAR(list);
	return list;
}

/* ---- life ---- */

PyObject *space_resolve(PyObject *space)
{
	const char *preset = getenv("SHMSEM_NAMESPACE");

	if (space && space != Py_None)
		return PyObject_Str(space);
	return PyUnicode_DecodeFSDefault(preset && preset[0] ? preset : "shmsem");
}

PyObject *connection_new(PyObject *space, PyObject *wait, PyObject *timeout, bool guard)
{
	struct connection_object *self = PyObject_New(struct connection_object, type);
	const char *text = NULL;
	PyObject *keep = NULL;

	if (!self)
		return NULL;
	memset((char *)self + sizeof self->ob_base, 0, sizeof *self - sizeof self->ob_base);
	sem_init(&self->turns, 0, 0);
	self->generation = process_generation;
	self->space = space_resolve(space);
	if (self->space)
		text = name_text(self->space, &keep);
	self->space_text = text ? strdup(text) : NULL;
	Py_XDECREF(keep);
	if (!self->space_text || seconds_parse(wait, &self->options.wait_ns) ||
		seconds_parse(timeout, &self->options.timeout_ns)) {
		if (!PyErr_Occurred())
			PyErr_NoMemory();
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	self->options.name_space = self->space_text;
	self->options.flags = guard ? SHMSEM_GUARD_SIGBUS : 0;
	self->options.wait_hook = on_wait;
	self->options.wait_data = self;
	return (PyObject *)self;
}

int connect_options_parse(PyObject *arguments, PyObject *keywords, PyObject **ret_space,
	PyObject **ret_wait, PyObject **ret_timeout, int *ret_guard)
{
	static char *names[] = {"namespace", "wait", "timeout", "guard", NULL};

	*ret_space = *ret_wait = *ret_timeout = Py_None;
	*ret_guard = 0;
	return PyArg_ParseTupleAndKeywords(arguments, keywords, "|O$OOp", names, ret_space,
		       ret_wait, ret_timeout, ret_guard)
		       ? 0
		       : -1;
}

static PyObject *connection_type_new(PyTypeObject *class, PyObject *arguments, PyObject *keywords)
{
	PyObject *space, *wait, *timeout;
	struct connection_object *self;
	int guard;

	(void)class;
	if (connect_options_parse(arguments, keywords, &space, &wait, &timeout, &guard))
		return NULL;
	self = (struct connection_object *)connection_new(space, wait, timeout, guard);
	if (!self)
		return NULL;
	if (connection_enter(self) || connection_leave(self))
		Py_CLEAR(self);
	return (PyObject *)self;
}

/* The process's own connections, by namespace; and the one that was used last. */
struct connection_object *connection_default(PyObject *space)
{
	static PyObject *kept;
	static struct connection_object *last;
	const char *preset = space ? NULL : getenv("SHMSEM_NAMESPACE");
	PyObject *key, *found;

	if (!space && last && !strcmp(last->space_text, preset && preset[0] ? preset : "shmsem"))
		return last;
	if (!kept)
		kept = PyDict_New();
	key = kept ? space_resolve(space) : NULL;
	if (!key)
		return NULL;
	found = PyDict_GetItemWithError(kept, key);
	if (!found && !PyErr_Occurred()) {
		found = connection_new(key, Py_None, Py_None, false);
		if (found && PyDict_SetItem(kept, key, found))
			Py_CLEAR(found);
		else
			Py_XDECREF(found);
	}
	Py_DECREF(key);
	if (found)
		last = (struct connection_object *)found;
	return last && found ? last : NULL;
}

static void connection_dealloc(PyObject *object)
{
	struct connection_object *self = (struct connection_object *)object;
	PyTypeObject *class = Py_TYPE(object);

	if (self->generation == process_generation)
		shmsem_close(self->client);
	sem_destroy(&self->turns);
	free(self->space_text);
	Py_XDECREF(self->space);
	PyObject_Free(object);
	Py_DECREF(class);
}

/* ---- methods ---- */

#define SELF(object) ((struct connection_object *)(object))

static PyObject *method_fetch(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	const struct call call = {arguments, count, keywords};
	struct asked asked;
	PyObject *name;

	return asked_parse(&asked, CALL_FETCH, &call, &name)
		       ? NULL
		       : connection_fetch(SELF(object), name, &asked);
}

static PyObject *method_info(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	const struct call call = {arguments, count, keywords};
	struct asked asked;
	PyObject *name;

	return asked_parse(&asked, CALL_INFO, &call, &name)
		       ? NULL
		       : connection_info(SELF(object), name, &asked);
}

static PyObject *method_fetch_many(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	const struct call call = {arguments, count, keywords};
	struct asked asked;
	PyObject *names;

	return asked_parse(&asked, CALL_MANY, &call, &names)
		       ? NULL
		       : batch_fetch_many(SELF(object), names, &asked);
}

static PyObject *method_fetch_batch(
	PyObject *object, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	const struct call call = {arguments, count, keywords};
	struct asked asked;
	PyObject *names;

	return asked_parse(&asked, CALL_BATCH, &call, &names)
		       ? NULL
		       : batch_fetch_batch(SELF(object), names, &asked);
}

static PyObject *method_names(PyObject *object, PyObject *unused)
{
	(void)unused;
	return connection_names(SELF(object));
}

static PyObject *method_ping(PyObject *object, PyObject *unused)
{
	struct shmsem_error error;
	int status;

	(void)unused;
	if (connection_enter(SELF(object)))
		return NULL;
	status = shmsem_ping(SELF(object)->client, &error);
	if (connection_leave(SELF(object)) || status)
		return error_raise(&error);
	return Py_NewRef(Py_None);
}

static PyObject *method_cancel(PyObject *object, PyObject *unused)
{
	struct connection_object *self = SELF(object);

	(void)unused;
	if (self->client && self->generation == process_generation)
		shmsem_cancel(self->client);
	return Py_NewRef(Py_None);
}

static PyObject *method_close(PyObject *object, PyObject *unused)
{
	struct connection_object *self = SELF(object);

	(void)unused;
	forget_parent(self);
	if (!self->closed) {
		if (take_turn(self))
			return NULL;
		self->closed = true;
		shmsem_close(self->client);
		self->client = NULL;
		connection_leave(self);
	}
	return Py_NewRef(Py_None);
}

static PyObject *method_exit(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
	(void)arguments;
	(void)count;
	return method_close(object, NULL);
}

static PyObject *method_enter(PyObject *object, PyObject *unused)
{
	(void)unused;
	return Py_NewRef(object);
}

/* The other process connects when it first uses it. */
static PyObject *method_reduce(PyObject *object, PyObject *unused)
{
	struct connection_object *self = SELF(object);
	PyObject *module = PyImport_ImportModule("shmsem._shmsem"), *function;

	(void)unused;
	if (!module)
		return NULL;
	function = PyObject_GetAttrString(module, "_connect_later");
	Py_DECREF(module);
	return function ? Py_BuildValue("N(OKKI)", function, self->space,
				  (unsigned long long)self->options.wait_ns,
				  (unsigned long long)self->options.timeout_ns, self->options.flags)
			: NULL;
}

static PyObject *get_namespace(PyObject *object, void *unused)
{
	(void)unused;
	return Py_NewRef(SELF(object)->space);
}

static PyObject *connection_repr(PyObject *object)
{
	return PyUnicode_FromFormat("<shmsem.Connection %R%s>", SELF(object)->space,
		SELF(object)->closed ? " closed" : "");
}

static PyGetSetDef attributes[] = {
	{"namespace", get_namespace, NULL, "The namespace of its server.", NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
	{"fetch", METHOD(method_fetch), METH_FASTCALL | METH_KEYWORDS,
		"fetch($self, name, /, *, " OPTIONS_SIGNATURE ", copy=False)\n--\n\n" FETCH_DOC},
	{"info", METHOD(method_info), METH_FASTCALL | METH_KEYWORDS,
		"info($self, name, /, *, " OPTIONS_SIGNATURE ")\n--\n\n" INFO_DOC},
	{"fetch_many", METHOD(method_fetch_many), METH_FASTCALL | METH_KEYWORDS,
		"fetch_many($self, names, /, *, " OPTIONS_SIGNATURE
		", copy=False, on_error='raise')\n--\n\n" MANY_DOC},
	{"fetch_batch", METHOD(method_fetch_batch), METH_FASTCALL | METH_KEYWORDS,
		"fetch_batch($self, names, /, *, out=None, " OPTIONS_SIGNATURE
		")\n--\n\n" BATCH_DOC},
	{"names", method_names, METH_NOARGS, "names($self, /)\n--\n\n" NAMES_DOC},
	{"ping", method_ping, METH_NOARGS, "ping($self, /)\n--\n\nAsks the server for nothing."},
	{"cancel", method_cancel, METH_NOARGS,
		"cancel($self, /)\n--\n\n"
		"Ends the wait of the call that another thread is in, or the next call, with\n"
		"TryAgainError."},
	{"close", method_close, METH_NOARGS,
		"close($self, /)\n--\n\nEnds the connection. Images that were fetched stay valid."},
	{"__enter__", method_enter, METH_NOARGS, NULL},
	{"__exit__", METHOD(method_exit), METH_FASTCALL, NULL},
	{"__reduce__", method_reduce, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
	{Py_tp_doc,
		"Connection(namespace=None, *, wait=0, timeout=None, guard=False)\n--\n\n"
		"A connection to the server of a namespace ($SHMSEM_NAMESPACE, else 'shmsem').\n\n"
		"`wait` for a server to appear and `timeout` of each call (30) are in seconds.\n"
		"With `guard`, a segment that somebody truncates reads as zeros instead of\n"
		"ending the process; Image.check() tells. It is made anew after the server was\n"
		"restarted, in a child of fork(), and where it is unpickled. Threads that share\n"
		"it take turns."},
	{Py_tp_new, SLOT(connection_type_new)},
	{Py_tp_dealloc, SLOT(connection_dealloc)},
	{Py_tp_repr, SLOT(connection_repr)},
	{Py_tp_methods, methods},
	{Py_tp_getset, attributes},
	{0, NULL},
};

int connection_init(PyObject *module)
{
	PyType_Spec spec = {.name = "shmsem.Connection",
		.basicsize = sizeof(struct connection_object),
		.flags = Py_TPFLAGS_DEFAULT,
		.slots = slots};

	type = (PyTypeObject *)PyType_FromSpec(&spec);
	return type ? PyModule_AddObjectRef(module, "Connection", (PyObject *)type) : -1;
}
