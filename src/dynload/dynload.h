/*
 * Libraries that are loaded when they are needed, so that a command which does not need them pays
 * nothing for their start. Each has a header here, which is included in place of the library's own:
 * it lists the functions that are used, as pointers that NAME_load() sets, and has their names stand
 * for these. To use a further function, add it to both lists; the linker tells if it is missing,
 * for nothing is linked with these libraries.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct dynload {
	const char *what;         /* needs it: the first words of the error message */
	const char *object;       /* its file, by its soname */
	const char *const *names; /* of its functions, up to NULL */
	void *functions;          /* a struct of pointers to them, in the same order */
	bool loaded;
};

/* Loads it, for good, if that has not been done; STATUS_UNAVAILABLE if it fails. Any thread may. */
int dynload_load(struct dynload *library, struct error *err);

/* Those that this build may need, and loading the one of that number, from 0 on. */
unsigned libraries_count(void);
int libraries_load(unsigned number, struct error *err);

/* For a macro FUNCTIONS(F) that is F(one) F(two)...: the members of the struct; then the names. */
#define DYNLOAD_MEMBER(function) __typeof__(function) *function;
#define DYNLOAD_NAME(function)   #function,

/* NAME_load() and struct NAME, for which its header has declarations. */
#define DYNLOAD_LIBRARY(name, FUNCTIONS, what, object)                               \
	struct name name;                                                            \
	int name##_load(struct error *err)                                           \
	{                                                                            \
		static const char *const names[] = {FUNCTIONS(DYNLOAD_NAME) NULL};   \
		static struct dynload library = {what, object, names, &name, false}; \
                                                                                     \
		return dynload_load(&library, err);                                  \
	}
