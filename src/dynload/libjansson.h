/* What is used of jansson. */
#pragma once

#include "dynload/dynload.h"

#include <jansson.h>

#define LIBJANSSON(F)            \
	F(json_array)            \
	F(json_array_append_new) \
	F(json_delete)           \
	F(json_dumpf)            \
	F(json_integer)          \
	F(json_null)             \
	F(json_object)           \
	F(json_object_set_new)   \
	F(json_pack)             \
	F(json_real)             \
	F(json_string)

struct libjansson {
	LIBJANSSON(DYNLOAD_MEMBER)
};

extern struct libjansson libjansson;

int libjansson_load(struct error *err);

#define json_array            libjansson.json_array
#define json_array_append_new libjansson.json_array_append_new
#define json_dumpf            libjansson.json_dumpf
#define json_integer          libjansson.json_integer
#define json_null             libjansson.json_null
#define json_object           libjansson.json_object
#define json_object_set_new   libjansson.json_object_set_new
#define json_pack             libjansson.json_pack
#define json_real             libjansson.json_real
#define json_string           libjansson.json_string
