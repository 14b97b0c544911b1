/*
 * shmsem.Server: hands out what a Python program makes.
 */
#pragma once

#include "python/python.h"

/* Makes the types, and puts them into the module; -1 with an exception. */
int server_init(PyObject *module);
