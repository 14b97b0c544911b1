#include "python/errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static PyObject *by_status, *base_error;

int errors_init(void)
{
	PyObject *module = PyImport_ImportModule("shmsem._errors");

	if (!module)
		return -1;
	by_status = PyObject_GetAttrString(module, "BY_STATUS");
	base_error = PyObject_GetAttrString(module, "Error");
	Py_DECREF(module);
	return by_status && base_error ? 0 : -1;
}

PyObject *error_new(const struct shmsem_error *error)
{
	PyObject *status = PyLong_FromLong(error->status), *class = NULL, *made = NULL, *text;

	if (!status)
		return NULL;
	class = PyDict_GetItemWithError(by_status, status);
	Py_DECREF(status);
	if (PyErr_Occurred())
		return NULL;
	text = PyUnicode_DecodeUTF8(
		error->message, (Py_ssize_t)strlen(error->message), "surrogateescape");
	if (text)
		made = PyObject_CallFunction(
			class ? class : base_error, "Oi", text, error->os_error);
	Py_XDECREF(text);
	return made;
}

PyObject *error_raise(const struct shmsem_error *error)
{
	PyObject *made;

	if (PyErr_Occurred())
		return NULL;
	made = error_new(error);
	if (made)
		PyErr_SetObject((PyObject *)Py_TYPE(made), made);
	Py_XDECREF(made);
	return NULL;
}

PyObject *error_usage(const char *format, ...)
{
	struct shmsem_error error = {.status = SHMSEM_USAGE};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error.message, sizeof error.message, format, arguments);
	va_end(arguments);
	return error_raise(&error);
}

/* The status that an exception of the package carries; any other is a failure of the program. */
static int status_of(PyObject *value)
{
	PyObject *status;
	long number = SHMSEM_INTERNAL;

	if (PyObject_IsInstance(value, base_error) != 1)
		return SHMSEM_INTERNAL;
	status = PyObject_GetAttrString(value, "status");
	if (status)
		number = PyLong_AsLong(status);
	Py_XDECREF(status);
	PyErr_Clear();
	return number > 0 && number < 128 ? (int)number : SHMSEM_INTERNAL;
}

void error_from_exception(struct shmsem_error *ret)
{
	PyObject *type, *value, *trace, *text, *raw = NULL;
	const char *message = NULL;
	int status;

	PyErr_Fetch(&type, &value, &trace);
	PyErr_NormalizeException(&type, &value, &trace);
	status = status_of(value);
	text = PyObject_IsInstance(value, base_error) == 1
		       ? PyObject_Str(value)
		       : PyUnicode_FromFormat("the program failed: %R", value);
	if (text)
		raw = PyUnicode_AsEncodedString(text, "utf-8", "surrogateescape");
	if (raw)
		message = PyBytes_AsString(raw);
	PyErr_Clear();
	shmsem_fail(ret, status, "%s", message ? message : "the program failed");
	Py_XDECREF(text);
	Py_XDECREF(raw);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(trace);
}
