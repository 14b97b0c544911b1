#include "python/options.h"

#include "python/errors.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind {
	KIND_BYTE,   /* 0 to 255 */
	KIND_NUMBER, /* a uint32_t */
	KIND_LAYOUT,
	KIND_RESAMPLE,
	KIND_CROP, /* x, y, width and height, or the latter two */
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
	size_t offset; /* in struct call_options */
	uint8_t flag;
} options[] = {
#define AT(field) offsetof(struct call_options, field)
	{"scale", KIND_BYTE, CALL_IMAGES, AT(request.scale), 0},
	{"channels", KIND_BYTE, CALL_IMAGES, AT(request.channels), 0},
	{"layout", KIND_LAYOUT, CALL_IMAGES, AT(request.layout), 0},
	{"fit", KIND_PAIR, CALL_IMAGES, AT(request.fit_width), 0},
	{"size", KIND_PAIR, CALL_IMAGES, AT(request.width), 0},
	{"shorter", KIND_NUMBER, CALL_IMAGES, AT(request.shorter), 0},
	{"longer", KIND_NUMBER, CALL_IMAGES, AT(request.longer), 0},
	{"crop", KIND_CROP, CALL_IMAGES, AT(request.crop_x), 0},
	{"resample", KIND_RESAMPLE, CALL_IMAGES, AT(request.resample), 0},
	{"draft", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_DRAFT},
	{"keep_cmyk", KIND_FLAG, CALL_IMAGES, 0, SHMSEM_KEEP_CMYK},
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
_Static_assert(AT(request.height) == AT(request.width) + sizeof(uint32_t), "a pair");
_Static_assert(AT(request.crop_height) == AT(request.crop_x) + 3 * sizeof(uint32_t), "four");

static const char *const layouts[] = {[SHMSEM_RGB] = "rgb", [SHMSEM_BGR] = "bgr", NULL};
static const char *const resamplings[] = {[SHMSEM_BICUBIC] = "bicubic",
	[SHMSEM_BOX] = "box",
	[SHMSEM_BILINEAR] = "bilinear",
	[SHMSEM_LANCZOS] = "lanczos",
	NULL};

static int parse_number(PyObject *given, const char *name, long long most, long long *ret)
{
	int overflow;

	if (!PyIndex_Check(given)) {
		PyErr_Format(PyExc_TypeError, "%s: %R is not a whole number", name, given);
		return -1;
	}
	*ret = PyLong_AsLongLongAndOverflow(given, &overflow);
	if (*ret == -1 && PyErr_Occurred())
		return -1;
	if (!overflow && *ret >= 0 && *ret <= most)
		return 0;
	error_usage("%s is out of range", name);
	return -1;
}

/* The index of a word among those that are possible. */
static int parse_word(PyObject *given, const char *name, const char *const *words, void *field)
{
	char possible[80] = "";
	size_t length = 0;

	for (uint8_t i = 0; words[i]; i++) {
		if (PyUnicode_Check(given) &&
			PyUnicode_CompareWithASCIIString(given, words[i]) == 0) {
			memcpy(field, &i, 1);
			return 0;
		}
		length += (size_t)snprintf(possible + length, sizeof possible - length, "%s'%s'",
			i ? ", " : "", words[i]);
	}
	error_usage("%s: possible are %s", name, possible);
	return -1;
}

/* The items of a sequence; -1 with an exception that says what the option is. */
static Py_ssize_t count_items(PyObject *given, const char *name, const char *what)
{
	if (PySequence_Check(given))
		return PySequence_Size(given);
	PyErr_Format(PyExc_TypeError, "%s is %s, not %R", name, what, given);
	return -1;
}

static int parse_numbers(PyObject *given, const char *name, Py_ssize_t count, uint32_t *ret)
{
	int status = 0;

	for (Py_ssize_t i = 0; !status && i < count; i++) {
		PyObject *side = PySequence_GetItem(given, i);
		long long number = 0;

		status = side ? parse_number(side, name, UINT32_MAX, &number) : -1;
		ret[i] = (uint32_t)number;
		Py_XDECREF(side);
	}
	return status;
}

static int parse_pair(PyObject *given, const char *name, uint32_t *ret)
{
	static const char what[] = "a width and a height";
	Py_ssize_t count = count_items(given, name, what);

	if (count == 2)
		return parse_numbers(given, name, 2, ret);
	if (count >= 0)
		error_usage("%s is %s", name, what);
	return -1;
}

static int parse_crop(PyObject *given, struct call_options *chosen)
{
	static const char what[] = "x, y, width and height, or width and height";
	struct shmsem_request *request = &chosen->request;
	Py_ssize_t count = count_items(given, "crop", what);
	int status;

	if (count <= 0)
		return (int)count;
	if (count != 4 && count != 2) {
		error_usage("crop is %s", what);
		return -1;
	}
	if (count == 2)
		request->flags |= SHMSEM_CROP_CENTRED;
	status = parse_numbers(
		given, "crop", count, count == 4 ? &request->crop_x : &request->crop_width);
	/* The library takes four zeros to be no crop at all. */
	if (!status && (!request->crop_width || !request->crop_height)) {
		error_usage("a crop has a width and a height");
		status = -1;
	}
	return status;
}

int seconds_parse(PyObject *given, const char *name, uint64_t *ret_ns)
{
	double seconds;

	*ret_ns = 0;
	if (given == Py_None)
		return 0;
	if (!PyNumber_Check(given)) {
		PyErr_Format(PyExc_TypeError, "%s: %R is not a number of seconds", name, given);
		return -1;
	}
	seconds = PyFloat_AsDouble(given);
	if (seconds == -1 && PyErr_Occurred())
		return -1;
	if (isnan(seconds)) {
		error_usage("%s: nan is not a number of seconds", name);
		return -1;
	}
	if (seconds < 0) {
		error_usage("%s is negative", name);
		return -1;
	}
	/* 0 would mean "as the connection has it"; the shortest time that is not 0 says "do not
	 * wait". */
	*ret_ns = seconds >= 9e9 ? UINT64_C(1) << 63 : (uint64_t)(seconds * 1e9);
	if (!*ret_ns)
		*ret_ns = 1;
	return 0;
}

static int parse_flag(PyObject *given, struct call_options *chosen, uint8_t flag)
{
	int set = PyObject_IsTrue(given);

	if (set > 0)
		chosen->request.flags |= flag;
	return set < 0 ? -1 : 0;
}

static int parse_option(const struct option *option, PyObject *given, struct call_options *chosen)
{
	static const char *const on_error[] = {"raise", "return", NULL};
	void *field = (char *)chosen + option->offset;
	long long number = 0;
	int status;

	switch (option->kind) {
	case KIND_BYTE:
		status = parse_number(given, option->name, UINT8_MAX, &number);
		*(uint8_t *)field = (uint8_t)number;
		return status;
	case KIND_NUMBER:
		status = parse_number(given, option->name, UINT32_MAX, &number);
		*(uint32_t *)field = (uint32_t)number;
		return status;
	case KIND_LAYOUT:
		return parse_word(given, option->name, layouts, field);
	case KIND_RESAMPLE:
		return parse_word(given, option->name, resamplings, field);
	case KIND_CROP:
		return parse_crop(given, chosen);
	case KIND_ON_ERROR:
		return parse_word(given, option->name, on_error, field);
	case KIND_FLAG:
		return parse_flag(given, chosen, option->flag);
	case KIND_PAIR:
		return parse_pair(given, option->name, field);
	case KIND_SECONDS:
		return seconds_parse(given, option->name, field);
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

/* What the library would let pass, as it has one of the two ignored. */
static int check_scales(const struct shmsem_request *request)
{
	if (request->scale <= 1 || (!request->fit_width && !request->fit_height))
		return 0;
	error_usage("scale and fit both say how large");
	return -1;
}

static const struct option *find_option(PyObject *name, unsigned calls)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (options[i].calls & calls &&
			PyUnicode_CompareWithASCIIString(name, options[i].name) == 0)
			return &options[i];
	return NULL;
}

int call_options_parse(
	struct call_options *ret, unsigned calls, const struct call *call, PyObject **ret_first)
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
	return check_scales(&ret->request);
}

static PyObject *crop_value(const struct shmsem_request *request)
{
	if (request->flags & SHMSEM_CROP_CENTRED)
		return Py_BuildValue("(II)", request->crop_width, request->crop_height);
	return request->crop_width ? Py_BuildValue("(IIII)", request->crop_x, request->crop_y,
					     request->crop_width, request->crop_height)
				   : PyTuple_New(0);
}

/* What an option is; None where that is nothing to say of an image. */
static PyObject *option_value(const struct option *option, const struct call_options *chosen)
{
	const void *field = (const char *)chosen + option->offset;
	const uint32_t *pair = field;

	switch (option->kind) {
	case KIND_BYTE:
		return PyLong_FromLong(*(const uint8_t *)field);
	case KIND_NUMBER:
		return PyLong_FromUnsignedLong(pair[0]);
	case KIND_LAYOUT:
		return PyUnicode_FromString(layouts[*(const uint8_t *)field]);
	case KIND_RESAMPLE:
		return PyUnicode_FromString(resamplings[*(const uint8_t *)field]);
	case KIND_CROP:
		return crop_value(&chosen->request);
	case KIND_FLAG:
		return PyBool_FromLong(chosen->request.flags & option->flag);
	case KIND_PAIR:
		return Py_BuildValue("(II)", pair[0], pair[1]);
	case KIND_BOOL:
		return PyBool_FromLong(*(const bool *)field);
	case KIND_SECONDS:
	case KIND_ON_ERROR:
	case KIND_OBJECT:
		break;
	}
	return Py_NewRef(Py_None);
}

PyObject *call_options_keywords(const struct call_options *chosen)
{
	static const struct call_options plain;
	PyObject *keywords = PyDict_New();

	for (size_t i = 0; keywords && i < OPTIONS; i++) {
		PyObject *value = option_value(&options[i], chosen);
		PyObject *preset = option_value(&options[i], &plain);
		int same = value && preset ? PyObject_RichCompareBool(value, preset, Py_EQ) : -1;

		if (same < 0 || (!same && PyDict_SetItemString(keywords, options[i].name, value)))
			Py_CLEAR(keywords);
		Py_XDECREF(value);
		Py_XDECREF(preset);
	}
	return keywords;
}

const char *call_option_name(size_t index)
{
	return index < OPTIONS && options[index].calls == CALL_IMAGES &&
			       options[index].kind != KIND_SECONDS
		       ? options[index].name
		       : NULL;
}

PyObject *call_option_value(size_t index, const struct call_options *chosen)
{
	return option_value(&options[index], chosen);
}
