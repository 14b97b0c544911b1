#include "python/options.h"

#include "python/errors.h"

#include <stddef.h>
#include <string.h>

enum kind {
	KIND_BYTE, /* 0 to 255 */
	KIND_LAYOUT,
	KIND_FLAG, /* of the request */
	KIND_PAIR, /* width and height */
	KIND_SECONDS,
	KIND_BOOL,
	KIND_ON_ERROR,
	KIND_OBJECT,
};

static const struct option {
	const char *name;
	enum kind kind;
	unsigned calls;
	size_t offset; /* in struct asked */
	uint8_t flag;
} options[] = {
#define AT(field) offsetof(struct asked, field)
	{"scale", KIND_BYTE, CALL_IMAGES, AT(request.scale), 0},
	{"channels", KIND_BYTE, CALL_IMAGES, AT(request.channels), 0},
	{"layout", KIND_LAYOUT, CALL_IMAGES, AT(request.layout), 0},
	{"fit", KIND_PAIR, CALL_IMAGES, AT(request.fit_width), 0},
	{"native_depth", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_NATIVE_DEPTH},
	{"keep_orientation", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_KEEP_ORIENTATION},
	{"premultiply", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_PREMULTIPLY},
	{"strict", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_STRICT},
	{"lenient", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_LENIENT},
	{"timeout", KIND_SECONDS, CALL_IMAGES, AT(request.timeout_ns), 0},
	{"copy", KIND_BOOL, CALL_FETCH | CALL_MANY, AT(copy), 0},
	{"on_error", KIND_ON_ERROR, CALL_MANY, AT(return_errors), 0},
	{"out", KIND_OBJECT, CALL_BATCH, AT(out), 0},
	{"namespace", KIND_OBJECT, CALL_MODULE, AT(space), 0},
};
#define OPTIONS (sizeof options / sizeof *options)

_Static_assert(AT(request.fit_height) == AT(request.fit_width) + sizeof(uint32_t), "a pair");

static const char *const layouts[] = {[SHMSEM_RGB] = "rgb", [SHMSEM_BGR] = "bgr"};

static int parse_number(PyObject *given, const char *name, long long most, long long *ret)
{
	int overflow;

	*ret = PyLong_AsLongLongAndOverflow(given, &overflow);
	if (*ret == -1 && PyErr_Occurred())
		return -1;
	if (!overflow && *ret >= 0 && *ret <= most)
		return 0;
	error_usage("%s is out of range", name);
	return -1;
}

/* The index of a word among those that are possible. */
static int parse_word(PyObject *given, const char *name, const char *const words[2], void *field)
{
	for (uint8_t i = 0; i < 2; i++)
		if (PyUnicode_Check(given) &&
			PyUnicode_CompareWithASCIIString(given, words[i]) == 0) {
			memcpy(field, &i, 1);
			return 0;
		}
	error_usage("%s: '%s' and '%s' are possible", name, words[0], words[1]);
	return -1;
}

static int parse_pair(PyObject *given, const char *name, uint32_t *ret)
{
	int status = 0;

	if (PySequence_Size(given) != 2) {
		if (!PyErr_Occurred())
			error_usage("%s is a width and a height", name);
		return -1;
	}
	for (int i = 0; !status && i < 2; i++) {
		PyObject *side = PySequence_GetItem(given, i);
		long long number = 0;

		status = side ? parse_number(side, name, UINT32_MAX, &number) : -1;
		ret[i] = (uint32_t)number;
		Py_XDECREF(side);
	}
	return status;
}

int seconds_parse(PyObject *given, uint64_t *ret_ns)
{
	double seconds;

	*ret_ns = 0;
	if (given == Py_None)
		return 0;
	seconds = PyFloat_AsDouble(given);
	if (seconds == -1 && PyErr_Occurred())
		return -1;
	if (!(seconds >= 0)) {
		error_usage("a time is negative");
		return -1;
	}
	/* 0 would mean "as the connection has it"; the shortest time that is not 0 says "do not
	 * wait". */
	*ret_ns = seconds >= 9e9 ? UINT64_C(1) << 63 : (uint64_t)(seconds * 1e9);
	if (!*ret_ns)
		*ret_ns = 1;
	return 0;
}

static int parse_flag(PyObject *given, struct asked *asked, uint8_t flag)
{
	int set = PyObject_IsTrue(given);

	if (set > 0)
		asked->request.flags |= flag;
	return set < 0 ? -1 : 0;
}

static int parse_option(const struct option *option, PyObject *given, struct asked *asked)
{
	static const char *const on_error[] = {"raise", "return"};
	void *field = (char *)asked + option->offset;
	long long number;
	int status;

	switch (option->kind) {
	case KIND_BYTE:
		status = parse_number(given, option->name, UINT8_MAX, &number);
		*(uint8_t *)field = (uint8_t)number;
		return status;
	case KIND_LAYOUT:
		return parse_word(given, option->name, layouts, field);
	case KIND_ON_ERROR:
		return parse_word(given, option->name, on_error, field);
	case KIND_FLAG:
		return parse_flag(given, asked, option->flag);
	case KIND_PAIR:
		return parse_pair(given, option->name, field);
	case KIND_SECONDS:
		return seconds_parse(given, field);
	case KIND_BOOL:
		status = PyObject_IsTrue(given);
		*(bool *)field = status > 0;
		return status < 0 ? -1 : 0;
	case KIND_OBJECT:
		*(PyObject **)field = given == Py_None ? NULL : given;
		return 0;
	}
	return 0;
}

static const struct option *find_option(PyObject *name, unsigned calls)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].calls & calls &&
			PyUnicode_CompareWithASCIIString(name, options[i].name) == 0)
			return &options[i];
	return NULL;
}

int asked_parse(struct asked *ret, unsigned calls, const struct call *call, PyObject **ret_first)
{
	Py_ssize_t keywords = call->keywords ? PyTuple_Size(call->keywords) : 0;

	memset(ret, 0, sizeof *ret);
	if (call->count != (ret_first ? 1 : 0)) {
		PyErr_Format(PyExc_TypeError, "%d positional argument wanted, %zd given",
			ret_first ? 1 : 0, call->count);
		return -1;
	}
	if (ret_first)
		*ret_first = call->arguments[0];
	for (Py_ssize_t i = 0; i < keywords; i++) {
		PyObject *name = PyTuple_GetItem(call->keywords, i);
		const struct option *option = find_option(name, calls);

		if (!option) {
			PyErr_Format(PyExc_TypeError, "unexpected keyword argument '%U'", name);
			return -1;
		}
		if (parse_option(option, call->arguments[call->count + i], ret))
			return -1;
	}
	return 0;
}

/* What was given for an option, or NULL: it is as it is by default, or an exception is raised. */
static PyObject *option_value(const struct option *option, const struct asked *asked)
{
	const void *field = (const char *)asked + option->offset;
	const uint32_t *pair = field;

	switch (option->kind) {
	case KIND_BYTE:
		return *(const uint8_t *)field ? PyLong_FromLong(*(const uint8_t *)field) : NULL;
	case KIND_LAYOUT:
		return *(const uint8_t *)field
			       ? PyUnicode_FromString(layouts[*(const uint8_t *)field])
			       : NULL;
	case KIND_FLAG:
		return asked->request.flags & option->flag ? PyBool_FromLong(1) : NULL;
	case KIND_PAIR:
		return pair[0] || pair[1] ? Py_BuildValue("(II)", pair[0], pair[1]) : NULL;
	case KIND_BOOL:
		return *(const bool *)field ? PyBool_FromLong(1) : NULL;
	case KIND_SECONDS:
	case KIND_ON_ERROR:
	case KIND_OBJECT:
		break;
	}
	return NULL;
}

PyObject *asked_keywords(const struct asked *asked)
{
	PyObject *keywords = PyDict_New();

	for (size_t i = 0; keywords && i < OPTIONS; i++) {
		PyObject *value = option_value(&options[i], asked);

		if (value && PyDict_SetItemString(keywords, options[i].name, value))
			Py_CLEAR(keywords);
		Py_XDECREF(value);
		if (PyErr_Occurred())
			Py_CLEAR(keywords);
	}
	return keywords;
}

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
