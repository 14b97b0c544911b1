/*
 * shmsem.Connection: a client that threads take turns with, that a child of fork() makes anew, and
 * that looks for signals while it waits.
 */
#pragma once

#include "python/options.h"
#include "python/python.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

struct connection_object {
	PyObject_HEAD struct shmsem *client; /* NULL: made by the next call */
	struct prefetch *prefetch;           /* what is decoded ahead, or NULL */
	struct shmsem_connect_options options;
	PyObject *space; /* str */
	char *space_text;
	/* Of these, all is read and written with Python's lock held. */
	bool used, closed;
	bool raised;      /* by a signal's handler, during the call */
	pthread_t user;   /* the thread that uses the client */
	unsigned waiting; /* threads that wait for their turn, by `turns` */
	sem_t turns;
	unsigned generation;
	PyThreadState *sleeper; /* of a call that waits */
};

/* Makes the type, and puts it into the module; -1 with an exception: connection_methods.c. */
extern PyTypeObject *connection_type;
int connection_init(PyObject *module);

/* One that is to connect when it is first used; NULL with an exception. */
PyObject *connection_new(
	PyObject *space, PyObject *wait, PyObject *timeout, bool guard, PyObject *server_user);

/* The connection that the process keeps for a namespace (NULL: the default one); borrowed. */
struct connection_object *connection_default(PyObject *space);

/* Takes the client for one call, connected, and gives it back. -1 with an exception: then of a
 * signal's handler, whatever the call returned. */
int connection_enter(struct connection_object *self);
int connection_leave(struct connection_object *self);

/* Fetches one image: a struct image_object, or NULL with an exception. */
PyObject *connection_fetch(
	struct connection_object *self, PyObject *name, const struct call_options *chosen);
PyObject *connection_info(
	struct connection_object *self, PyObject *name, const struct call_options *chosen);
PyObject *connection_names(struct connection_object *self);

/* Has images decoded, and does not wait for that. */
PyObject *connection_prefetch(
	struct connection_object *self, PyObject *names, const struct call_options *chosen);

/* Does such work as the arguments say, over a connection, or over the process's own if it is NULL. */
typedef PyObject *connection_work(
	struct connection_object *self, PyObject *first, const struct call_options *chosen);
PyObject *connection_call(struct connection_object *self, unsigned calls, connection_work *work,
	const struct call *call);

/* Ends it; -1 with an exception. And what is left to do when the object is gone. */
int connection_close(struct connection_object *self);
void connection_release(struct connection_object *self);

/* Puts a user's name or uid, or "any", into the options; None changes nothing. -1 with an exception. */
int server_user_parse(PyObject *user, struct shmsem_connect_options *options);

/* The namespace as a str: the default one for None. */
PyObject *space_resolve(PyObject *space);
