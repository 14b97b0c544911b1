/*
 * The extension module behind the package shmsem: CPython's limited API of 3.11, and of shmsem its
 * public header alone. What every file of it needs.
 */
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <shmsem.h>

/* How often this process is the child of fork(), counted from the one that imported the module.
 * What was made in another generation belongs to an ancestor. */
extern unsigned process_generation;

/* A slot's or method's function, as the tables of the limited API take it. */
#define SLOT(function)   ((void *)(function))
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))

/* A call with its arguments as METH_FASTCALL | METH_KEYWORDS passes them. */
struct call {
	PyObject *const *arguments;
	Py_ssize_t count;
	PyObject *keywords; /* a tuple of their names, or NULL */
};
