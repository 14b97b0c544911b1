/* shmsem.Connection: the type, and what its users call. */
#include "python/batch.h"
#include "python/connection.h"
#include "python/errors.h"

#define SELF(object) ((struct connection_object *)(object))

/* ---- life ---- */

static PyObject *connection_type_new(PyTypeObject *class, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"namespace", "wait", "timeout", "guard", "server_user", NULL};
	PyObject *space = Py_None, *wait = Py_None, *timeout = Py_None, *server_user = Py_None;
	struct connection_object *self;
	int guard = 0;

	(void)class;
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O$OOpO", names, &space, &wait,
		    &timeout, &guard, &server_user))
		return NULL;
	self = (struct connection_object *)connection_new(space, wait, timeout, guard, server_user);
	if (!self)
		return NULL;
	if (connection_enter(self) || connection_leave(self))
		Py_CLEAR(self);
	return (PyObject *)self;
}

static void connection_dealloc(PyObject *object)
{
	PyTypeObject *class = Py_TYPE(object);

	connection_release(SELF(object));
	PyObject_Free(object);
	Py_DECREF(class);
}

/* ---- methods ---- */

/* A call for images over the connection. */
#define IMAGES_METHOD(name, calls, work)                                                      \
	static PyObject *name(PyObject *object, PyObject *const *arguments, Py_ssize_t count, \
		PyObject *keywords)                                                           \
	{                                                                                     \
		const struct call call = {arguments, count, keywords};                        \
                                                                                              \
		return connection_call(SELF(object), calls, work, &call);                     \
	}

IMAGES_METHOD(method_fetch, CALL_FETCH, connection_fetch)
IMAGES_METHOD(method_info, CALL_INFO, connection_info)
IMAGES_METHOD(method_prefetch, CALL_INFO, connection_prefetch)
IMAGES_METHOD(method_fetch_many, CALL_MANY, batch_fetch_many)
IMAGES_METHOD(method_fetch_batch, CALL_BATCH, batch_fetch_batch)

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
	(void)unused;
	return connection_close(SELF(object)) ? NULL : Py_NewRef(Py_None);
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
	return function ? Py_BuildValue("N(OKKIK)", function, self->space,
				  (unsigned long long)self->options.wait_ns,
				  (unsigned long long)self->options.timeout_ns, self->options.flags,
				  (unsigned long long)self->options.server_user)
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
	{"prefetch", METHOD(method_prefetch), METH_FASTCALL | METH_KEYWORDS,
		"prefetch($self, names, /, *, " OPTIONS_SIGNATURE ")\n--\n\n" PREFETCH_DOC},
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
		"Connection(namespace=None, *, wait=0, timeout=None, guard=False, "
		"server_user=None)\n--\n\n"
		"A connection to the server of a namespace ($SHMSEM_NAMESPACE, else 'shmsem').\n\n"
		"It must run as this user, as root, or as $SHMSEM_SERVER_USER; or as "
		"`server_user`,\n"
		"a name or a uid, or 'any', if that is given.\n"
		"`wait` for a server, or the next one, to appear and `timeout` of each call (30)\n"
		"are in seconds.\n"
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

	connection_type = (PyTypeObject *)PyType_FromSpec(&spec);
	return connection_type
		       ? PyModule_AddObjectRef(module, "Connection", (PyObject *)connection_type)
		       : -1;
}
