/*
 * shmsem._shmsem.Queue: images fetched by threads of the library, announced by a descriptor, for
 * event loops (shmsem/_aio.py).
 */
#pragma once

#include "python/python.h"

/* Makes the type, and puts it into the module; -1 with an exception. */
int queue_init(PyObject *module);
