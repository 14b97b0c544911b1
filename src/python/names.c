#include "python/names.h"

#include "python/errors.h"

#include <string.h>

/* The bytes of a str, with what os.fsdecode made of bytes that are not UTF-8 put back. */
static const char *unicode_text(PyObject *name, Py_ssize_t *ret_size, PyObject **ret_keep)
{
	const char *text = PyUnicode_AsUTF8AndSize(name, ret_size);
	char *encoded = NULL;

	if (text) {
		*ret_keep = Py_NewRef(name);
		return text;
	}
	PyErr_Clear();
	*ret_keep = PyUnicode_AsEncodedString(name, "utf-8", "surrogateescape");
	if (*ret_keep && PyBytes_AsStringAndSize(*ret_keep, &encoded, ret_size))
		Py_CLEAR(*ret_keep);
	return encoded;
}

const char *name_text(PyObject *name, PyObject **ret_keep)
{
	const char *text = NULL;
	char *bytes = NULL;
	Py_ssize_t size = 0;

	*ret_keep = NULL;
	if (PyUnicode_Check(name)) {
		text = unicode_text(name, &size, ret_keep);
	} else if (PyBytes_Check(name)) {
		if (!PyBytes_AsStringAndSize(name, &bytes, &size))
			*ret_keep = Py_NewRef(name);
		text = bytes;
	} else {
		PyObject *path = PyOS_FSPath(name);

		if (path)
			text = name_text(path, ret_keep);
		Py_XDECREF(path);
		return text;
	}
	if (text && strlen(text) != (size_t)size) {
		Py_CLEAR(*ret_keep);
		error_usage("there is a NUL in the name");
		return NULL;
	}
	return text;
}

PyObject *names_list(PyObject *names)
{
	if (PyUnicode_Check(names) || PyBytes_Check(names))
		return error_usage("a list of names is wanted, not one name");
	return PySequence_List(names);
}
