/*
 * A JSON value on standard output.
 */
#pragma once

#include "base/error.h"
#include "dynload/libjansson.h"

/* Takes the reference; NULL, as jansson returns it, is that memory ran out. */
int print_json(json_t *value, struct error *err);
