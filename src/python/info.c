#include "python/info.h"

#include <string.h>

static PyTypeObject *type;

static PyStructSequence_Field fields[] = {
	{"width", "pixels, as delivered"},
	{"height", "rows, as delivered"},
	{"channels", "1 grey, 2 grey and alpha, 3 RGB, 4 RGBA or, with cmyk, CMYK"},
	{"bits", "a sample, 8 or 16"},
	{"stride", "bytes from row to row"},
	{"bytes", "of all pixels"},
	{"format", "'png', 'jpeg' or None"},
	{"orientation", "as the file says: EXIF 1 to 8, 0 if it says nothing"},
	{"scale", "applied: 1, 2, 4 or 8"},
	{"from_store", "whether it had been decoded before"},
	{"file_width", NULL},
	{"file_height", NULL},
	{"file_channels", NULL},
	{"file_bits", NULL},
	{"file_bytes", NULL},
	{"icc_bytes", "of its colour profile"},
	{"gamma", "of the file, or None"},
	{"chromaticities", "x and y of white, red, green and blue, or None"},
	{"srgb", "the rendering intent of a PNG's sRGB, or None"},
	{"comments", "text chunks of a PNG, COM markers of a JPEG"},
	{"animated", "an animated PNG: its default image is delivered"},
	{"holders", "clients that hold it now"},
	{"age", "seconds since it was decoded"},
	{"warning", "what the codec complained about, or None"},
	{"segment", "the number of the data segment that it lies in"},
	{"offset", "the byte where it begins there"},
	{"cmyk", "whether the channels are C, M, Y and K, of which 255 is no ink"},
	{NULL, NULL},
};
#define FIELDS ((Py_ssize_t)(sizeof fields / sizeof *fields) - 1)

int info_init(PyObject *module)
{
	static PyStructSequence_Desc description = {
		.name = "shmsem.Info",
		.doc = "What is known of an image: a named tuple.",
		.fields = fields,
		.n_in_sequence = (int)FIELDS,
	};

	type = PyStructSequence_NewType(&description);
	return type ? PyModule_AddObjectRef(module, "Info", (PyObject *)type) : -1;
}

static PyObject *text_or_none(const char *text)
{
	return text ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace")
		    : Py_NewRef(Py_None);
}

static const char *format_text(uint8_t format)
{
	return format == SHMSEM_PNG ? "png" : format == SHMSEM_JPEG ? "jpeg" : NULL;
}

static PyObject *chromaticities(const int32_t given[8])
{
	PyObject *tuple;
	int32_t any = 0;

	for (int i = 0; i < 8; i++)
		any |= given[i];
	if (!any)
		return Py_NewRef(Py_None);
	tuple = PyTuple_New(8);
	for (int i = 0; tuple && i < 8; i++) {
		PyObject *value = PyFloat_FromDouble(given[i] / 1e5);

		if (!value || PyTuple_SetItem(tuple, i, value))
			Py_CLEAR(tuple);
	}
	return tuple;
}

PyObject *info_new(const struct shmsem_info *info)
{
	PyObject *values[] = {
		PyLong_FromUnsignedLong(info->width),
		PyLong_FromUnsignedLong(info->height),
		PyLong_FromLong(info->channels),
		PyLong_FromLong(info->bits),
		PyLong_FromUnsignedLong(info->stride),
		PyLong_FromUnsignedLongLong(info->bytes),
		text_or_none(format_text(info->format)),
		PyLong_FromLong(info->orientation),
		PyLong_FromLong(info->scale),
		PyBool_FromLong(info->from_store),
		PyLong_FromUnsignedLong(info->file_width),
		PyLong_FromUnsignedLong(info->file_height),
		PyLong_FromLong(info->file_channels),
		PyLong_FromLong(info->file_bits),
		PyLong_FromUnsignedLongLong(info->file_bytes),
		PyLong_FromUnsignedLong(info->icc_bytes),
		info->gamma ? PyFloat_FromDouble(info->gamma / 1e5) : Py_NewRef(Py_None),
		chromaticities(info->chromaticities),
		info->srgb ? PyLong_FromLong(info->srgb - 1) : Py_NewRef(Py_None),
		PyLong_FromUnsignedLong(info->comments),
		PyBool_FromLong(info->animated),
		PyLong_FromUnsignedLong(info->holders),
		PyFloat_FromDouble((double)info->age_ns / 1e9),
		text_or_none(info->warning[0] ? info->warning : NULL),
		PyLong_FromUnsignedLong(info->segment),
		PyLong_FromUnsignedLongLong(info->offset),
		PyBool_FromLong(info->cmyk),
	};
	PyObject *made = PyStructSequence_New(type);
	_Static_assert(sizeof values / sizeof *values == FIELDS, "one value for each field");

	for (Py_ssize_t i = 0; i < FIELDS; i++)
		if (made)
			PyStructSequence_SetItem(made, i, values[i]);
		else
			Py_XDECREF(values[i]);
	if (PyErr_Occurred())
		Py_CLEAR(made);
	return made;
}
