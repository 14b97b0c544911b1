/*
 * shmsem.Server: hands out what the program makes or publishes.
 */
#pragma once

#include "python/python.h"

#include <pthread.h>
#include <stdbool.h>

struct server_object {
	PyObject_HEAD struct shmsem_server *server; /* NULL: closed */
	PyObject *make, *names;                     /* callables, or NULL */
	PyObject *published;                        /* a set of names, as str */
	pthread_mutex_t publishing;                 /* held by the thread that publishes */
	PyThreadState *runner;                      /* of the thread that runs it */
	bool running, stopping;
	unsigned generation;
};

/* Makes the types, and puts them into the module; -1 with an exception. */
int server_init(PyObject *module);

/* What the library calls for a request, in the thread that runs the server: server_answers.c. */
int server_answers_init(PyObject *module);
int server_on_make(void *server, const struct shmsem_request *request, struct shmsem_answer *answer,
	struct shmsem_error *error);
int server_on_names(void *server, struct shmsem_answer *answer, struct shmsem_error *error);

/* What is handed out until it is replaced: frames.c. Whether the server can be used in this process;
 * -1 with an exception. One thread at a time publishes, or closes it. */
int server_check(const struct server_object *self);
void server_begin_publishing(struct server_object *self);
void server_end_publishing(struct server_object *self);
PyObject *server_publish(PyObject *server, PyObject *arguments);
PyObject *server_withdraw(PyObject *server, PyObject *name);

/* A buffer as an image: bytes, height x width, or height x width x channels. */
int frame_describe(const Py_buffer *view, struct shmsem_info *ret);

/* Copies its samples. -1 with an exception. */
int frame_copy(void *to, Py_buffer *view);
