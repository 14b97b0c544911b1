/*
 * What is asked for: the name and the keyword options of every call, from one table.
 */
#pragma once

#include "python/python.h"

#include <stdbool.h>

/* The calls that take an option. */
enum {
	CALL_FETCH = 1 << 0,
	CALL_INFO = 1 << 1,
	CALL_MANY = 1 << 2,
	CALL_BATCH = 1 << 3,
	CALL_MODULE = 1 << 4, /* a function of the module, over a connection of its own */
	CALL_IMAGES = CALL_FETCH | CALL_INFO | CALL_MANY | CALL_BATCH,
};

/* As the signatures of these calls show them. */
#define OPTIONS_SIGNATURE                                                                      \
	"scale=1, fit=(0, 0), size=(0, 0), shorter=0, longer=0, crop=(), resample='bicubic', " \
	"draft=False, channels=0, layout='rgb', native_depth=False, keep_orientation=False, "  \
	"keep_cmyk=False, premultiply=False, strict=False, lenient=False, timeout=None"

struct call_options {
	struct shmsem_request request; /* without a name */
	bool copy;
	bool return_errors; /* on_error='return' */
	PyObject *out;      /* borrowed, or NULL */
	PyObject *space;    /* borrowed, or NULL */
};

/* Reads the arguments of a call: one that is positional (a name, or names), returned in *ret_first,
 * borrowed, and keywords. -1 with an exception. */
int call_options_parse(
	struct call_options *ret, unsigned calls, const struct call *call, PyObject **ret_first);

/* What is asked of an image, option by option: the name of each, NULL behind the last, and its value,
 * a new reference or NULL with an exception. */
#define CALL_OPTIONS 16
const char *call_option_name(size_t index);
PyObject *call_option_value(size_t index, const struct call_options *chosen);

/* The options as keywords that ask for the same: a new dict, or NULL with an exception. */
PyObject *call_options_keywords(const struct call_options *chosen);

/* A time in seconds, or None, as the library has it: 0 for None. -1 with an exception, which says what
 * it is the time of. */
int seconds_parse(PyObject *given, const char *name, uint64_t *ret_ns);

/* What help() says of a call, whether it is a method or a function. */
#define FETCH_DOC                                                                               \
	"Gets an image, decoded now or stored before, without a copy.\n\n"                      \
	"`scale` is 1, 2, 4 or 8; `fit` a width and a height: the largest scale that leaves\n"  \
	"at least that; not both. `size` is an exact width and height, of which one may be 0\n" \
	"and follows; `shorter` and `longer` are the length of that side; `crop` is x, y,\n"    \
	"width and height, or a width and a height in the middle, taken before it is\n"         \
	"resized; `resample` is 'bicubic', 'box', 'bilinear' or 'lanczos'; with `draft` a\n"    \
	"JPEG is first reduced by its codec. `channels` is 0 (as the file has them), 1, 3 or\n" \
	"4; `layout` 'rgb' or 'bgr'. `timeout` is in seconds. With copy=True the pixels are\n"  \
	"the caller's own."
#define INFO_DOC "What a fetch would give, without decoding."
#define MANY_DOC                                                                               \
	"Gets several images, decoded at the same time: a list in the order of the names.\n\n" \
	"The first error is raised, and nothing stays held; with on_error='return' errors\n"   \
	"stand in the list instead."
#define BATCH_DOC                                                                        \
	"Copies several images of one size into one array of count x height x width x\n" \
	"channels: `out`, any writable buffer of that many bytes, or a new numpy array."
#define PREFETCH_DOC                                                                            \
	"Has images decoded, in this order, that are asked for later with the same\n"           \
	"options, and does not wait for that.\n\n"                                              \
	"Decoders do it when nobody waits for an image. What was decoded so stays in\n"         \
	"the store until it is fetched, or all are decoded; once three quarters of the\n"       \
	"store are full of such images, the rest waits for the readers. What is not\n"          \
	"decoded is dropped when the connection is closed, or the server ends.\n\n"             \
	"Raises UsageError, as a fetch does, for options that no image can have, and for\n"     \
	"names that are empty, have a NUL or are longer than 1024 bytes, and TypeError for\n"   \
	"names that are no text; then none of them is put in line. Whatever else fails, a\n"    \
	"missing server, too, the fetch tells. `timeout` is that of the fetches, and nothing\n" \
	"here ends by it. Any thread may call it, also while others are in calls of the same\n" \
	"connection."
#define NAMES_DOC  "The names of every image file that the server has, in byte order."
#define MODULE_DOC "Over a connection that the process keeps for the namespace."
