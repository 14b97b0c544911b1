/* The module shmsem._shmsem: its types, and the functions that need no connection of one's own. */
#include "python/batch.h"
#include "python/connection.h"
#include "python/errors.h"
#include "python/image.h"
#include "python/info.h"
#include "python/queue.h"
#include "python/server.h"

#include <stdlib.h>

unsigned process_generation;

static void in_child(void)
{
	process_generation++;
}

/* ---- over the process's own connections ---- */

/* A call for images over one of them. */
#define IMAGES_FUNCTION(name, calls, work)                                                    \
	static PyObject *name(PyObject *module, PyObject *const *arguments, Py_ssize_t count, \
		PyObject *keywords)                                                           \
	{                                                                                     \
		const struct call call = {arguments, count, keywords};                        \
                                                                                              \
		(void)module;                                                                 \
		return connection_call(NULL, (calls) | CALL_MODULE, work, &call);             \
	}

IMAGES_FUNCTION(module_fetch, CALL_FETCH, connection_fetch)
IMAGES_FUNCTION(module_info, CALL_INFO, connection_info)
IMAGES_FUNCTION(module_prefetch, CALL_INFO, connection_prefetch)
IMAGES_FUNCTION(module_fetch_many, CALL_MANY, batch_fetch_many)
IMAGES_FUNCTION(module_fetch_batch, CALL_BATCH, batch_fetch_batch)

static PyObject *module_names(
	PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
	const struct call call = {arguments, count, keywords};
	struct connection_object *connection;
	struct call_options chosen;

	(void)module;
	if (call_options_parse(&chosen, CALL_MODULE, &call, NULL))
		return NULL;
	connection = connection_default(chosen.space);
	return connection ? connection_names(connection) : NULL;
}

static PyObject *module_version(PyObject *module, PyObject *unused)
{
	(void)module;
	(void)unused;
	return PyUnicode_FromString(shmsem_version());
}

/* ---- unpickling ---- */

static PyObject *module_fetch_again(PyObject *module, PyObject *arguments)
{
	PyObject *space, *name, *keywords, *function, *positional, *image = NULL;

	if (!PyArg_ParseTuple(arguments, "OOO", &space, &name, &keywords) ||
		PyDict_SetItemString(keywords, "namespace", space))
		return NULL;
	function = PyObject_GetAttrString(module, "fetch");
	positional = PyTuple_Pack(1, name);
	if (function && positional)
		image = PyObject_Call(function, positional, keywords);
	Py_XDECREF(function);
	Py_XDECREF(positional);
	return image;
}

static PyObject *fetch_again(PyObject *space, PyObject *name, const struct call_options *chosen)
{
	struct connection_object *connection = connection_default(space);

	return connection ? connection_fetch(connection, name, chosen) : NULL;
}

static PyObject *module_connect_later(PyObject *module, PyObject *arguments)
{
	struct connection_object *self;
	unsigned long long wait, timeout, server_user;
	unsigned flags;
	PyObject *space;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "OKKIK", &space, &wait, &timeout, &flags, &server_user))
		return NULL;
	self = (struct connection_object *)connection_new(space, Py_None, Py_None, false, Py_None);
	if (self) {
		self->options.wait_ns = wait;
		self->options.timeout_ns = timeout;
		self->options.flags = flags;
		self->options.server_user = server_user;
	}
	return (PyObject *)self;
}

/* For what connects by itself once it has something to ask. */
static PyObject *module_unconnected(PyObject *module, PyObject *arguments)
{
	PyObject *space, *wait, *timeout, *server_user;
	int guard;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "OOOpO", &space, &wait, &timeout, &guard, &server_user))
		return NULL;
	return connection_new(space == Py_None ? NULL : space, wait, timeout, guard, server_user);
}

/* ---- the module ---- */

static PyMethodDef functions[] = {
	{"fetch", METHOD(module_fetch), METH_FASTCALL | METH_KEYWORDS,
		"fetch($module, name, /, *, namespace=None, " OPTIONS_SIGNATURE
		", copy=False)\n--\n\n" FETCH_DOC "\n\n" MODULE_DOC},
	{"info", METHOD(module_info), METH_FASTCALL | METH_KEYWORDS,
		"info($module, name, /, *, namespace=None, " OPTIONS_SIGNATURE ")\n--\n\n" INFO_DOC
		"\n\n" MODULE_DOC},
	{"fetch_many", METHOD(module_fetch_many), METH_FASTCALL | METH_KEYWORDS,
		"fetch_many($module, names, /, *, namespace=None, " OPTIONS_SIGNATURE
		", copy=False, on_error='raise')\n--\n\n" MANY_DOC "\n\n" MODULE_DOC},
	{"fetch_batch", METHOD(module_fetch_batch), METH_FASTCALL | METH_KEYWORDS,
		"fetch_batch($module, names, /, *, namespace=None, out=None, " OPTIONS_SIGNATURE
		")\n--\n\n" BATCH_DOC "\n\n" MODULE_DOC},
	{"prefetch", METHOD(module_prefetch), METH_FASTCALL | METH_KEYWORDS,
		"prefetch($module, names, /, *, namespace=None, " OPTIONS_SIGNATURE
		")\n--\n\n" PREFETCH_DOC "\n\n" MODULE_DOC},
	{"names", METHOD(module_names), METH_FASTCALL | METH_KEYWORDS,
		"names($module, /, *, namespace=None)\n--\n\n" NAMES_DOC "\n\n" MODULE_DOC},
	{"version", module_version, METH_NOARGS,
		"version($module, /)\n--\n\nThe version of the library."},
	{"_fetch_again", module_fetch_again, METH_VARARGS, NULL},
	{"_stack", batch_stack, METH_VARARGS, NULL},
	{"_restore", image_restore, METH_VARARGS, NULL},
	{"_connect_later", module_connect_later, METH_VARARGS, NULL},
	{"_unconnected", module_unconnected, METH_VARARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module)
{
	static bool loaded;

	/* Its types are the process's own. */
	if (loaded) {
		PyErr_SetString(PyExc_ImportError, "shmsem works in one interpreter of a process");
		return -1;
	}
	if (errors_init() || info_init(module) || image_init(module) || connection_init(module) ||
		queue_init(module) || server_init(module))
		return -1;
	image_fetch_again = fetch_again;
	pthread_atfork(NULL, NULL, in_child);
	loaded = true;
	return 0;
}

static PyModuleDef_Slot slots[] = {
	{Py_mod_exec, SLOT(module_exec)},
	{0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "shmsem._shmsem",
	.m_methods = functions,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__shmsem(void);

PyMODINIT_FUNC PyInit__shmsem(void)
{
	return PyModuleDef_Init(&definition);
}
