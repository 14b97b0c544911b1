/* shmsem.Server: answers to requests, by the callbacks of the program. */
#include "python/errors.h"
#include "python/names.h"
#include "python/options.h"
#include "python/server.h"

#include <string.h>

static PyTypeObject *request_type;

/* ---- what is asked for ---- */

static PyObject *request_new(const struct shmsem_request *request)
{
	struct call_options chosen = {.request = *request};
	PyObject *made = PyStructSequence_New(request_type);

	if (!made)
		return NULL;
	chosen.request.scale = request->scale ? request->scale : 1;
	PyStructSequence_SetItem(made, 0,
		PyUnicode_DecodeUTF8(
			request->name, (Py_ssize_t)strlen(request->name), "surrogateescape"));
	for (size_t i = 0; i < CALL_OPTIONS; i++)
		PyStructSequence_SetItem(made, (Py_ssize_t)i + 1, call_option_value(i, &chosen));
	if (PyErr_Occurred())
		Py_CLEAR(made);
	return made;
}

/* ---- answering ---- */

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
	if (frame_describe(&view, &info)) {
		error_from_exception(error);
		PyBuffer_Release(&view);
		return status;
	}
	status = shmsem_place(answer, &info, &pixels, NULL, error);
	if (!status && pixels && frame_copy(pixels, &view)) {
		error_from_exception(error);
		status = SHMSEM_INTERNAL;
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

static PyObject *make(struct server_object *self, const struct shmsem_request *request)
{
	PyObject *object = request_new(request), *made;

	if (!object)
		return NULL;
	made = PyObject_CallFunctionObjArgs(self->make, object, NULL);
	Py_DECREF(object);
	return made;
}

int server_on_make(void *server, const struct shmsem_request *request, struct shmsem_answer *answer,
	struct shmsem_error *error)
{
	struct server_object *self = server;
	PyObject *made;
	int status;

	PyEval_RestoreThread(self->runner);
	made = PyErr_Occurred() ? NULL : make(self, request);
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
	PyObject *iterator = PyObject_GetIter(names), *name, *keep;
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

int server_on_names(void *server, struct shmsem_answer *answer, struct shmsem_error *error)
{
	struct server_object *self = server;
	PyObject *names;
	int status = SHMSEM_OK;

	PyEval_RestoreThread(self->runner);
	names = PyErr_Occurred() ? NULL : PyObject_CallNoArgs(self->names);
	if (!names || add_names(names, answer, error))
		status = PyErr_Occurred() ? fail(self, error) : error->status;
	Py_XDECREF(names);
	self->runner = PyEval_SaveThread();
	return status;
}

/* ---- the type of a request ---- */

int server_answers_init(PyObject *module)
{
	static PyStructSequence_Field fields[CALL_OPTIONS + 2] = {{"name", "a str"}};
	static PyStructSequence_Desc description = {
		.name = "shmsem.Request",
		.doc = "What a client asks a Server for: a named tuple of the name and the "
		       "options.",
		.fields = fields,
		.n_in_sequence = CALL_OPTIONS + 1,
	};

	for (size_t i = 0; i < CALL_OPTIONS; i++)
		fields[i + 1].name = call_option_name(i);
	request_type = PyStructSequence_NewType(&description);
	return request_type ? PyModule_AddObjectRef(module, "Request", (PyObject *)request_type)
			    : -1;
}
