#include "python/connection.h"

#include "python/errors.h"
#include "python/image.h"
#include "python/info.h"
#include "python/names.h"
#include "python/prefetch.h"

#include <stdlib.h>
#include <string.h>

PyTypeObject *connection_type;

/* ---- the client ---- */

/* Others run while the call waits; a signal's handler may end it by an exception. */
static int on_wait(void *data, int waits)
{
	struct connection_object *self = data;

	if (waits) {
		self->sleeper = PyEval_SaveThread();
		return 0;
	}
	PyEval_RestoreThread(self->sleeper);
	if (!self->raised && PyErr_CheckSignals())
		self->raised = true;
	return self->raised;
}

/* What was made before fork() is the parent's, and used perhaps by a thread that is not here. */
static void forget_parent(struct connection_object *self)
{
	if (self->generation == process_generation)
		return;
	self->generation = process_generation;
	self->client = NULL;
	self->used = self->raised = false;
	self->prefetch = NULL;
	self->waiting = 0;
	sem_init(&self->turns, 0, 0);
}

/* Waits until the thread that uses the client may have given it back. */
static int await_turn(struct connection_object *self)
{
	int interrupted;

	if (pthread_equal(self->user, pthread_self())) {
		error_usage("the connection is in use by the call that was interrupted");
		return -1;
	}
	self->waiting++;
	Py_BEGIN_ALLOW_THREADS interrupted = sem_wait(&self->turns);
	Py_END_ALLOW_THREADS self->waiting--;
	return interrupted ? PyErr_CheckSignals() : 0;
}

static int take_turn(struct connection_object *self)
{
	while (self->used)
		if (await_turn(self))
			return -1;
	self->used = true;
	self->user = pthread_self();
	return 0;
}

int connection_enter(struct connection_object *self)
{
	struct shmsem_error error;

	forget_parent(self);
	if (take_turn(self))
		return -1;
	if (self->closed) {
		error_usage("the connection was closed");
		connection_leave(self);
		return -1;
	}
	if (self->client || !shmsem_connect(&self->client, &self->options, &error))
		return 0;
	error_raise(&error);
	connection_leave(self);
	return -1;
}

int connection_leave(struct connection_object *self)
{
	int raised = self->raised;

	self->raised = self->used = false;
	if (self->waiting)
		sem_post(&self->turns);
	return raised ? -1 : 0;
}

/* ---- calls ---- */

PyObject *connection_fetch(
	struct connection_object *self, PyObject *name, const struct call_options *chosen)
{
	struct shmsem_request request = chosen->request;
	struct image_object *image;
	struct shmsem_error error;
	PyObject *keep;
	bool fetched = false;
	int status;

	request.name = name_text(name, &keep);
	if (!request.name)
		return NULL;
	image = image_new(name, self->space, chosen);
	if (image && !connection_enter(self)) {
		status = shmsem_fetch(self->client, &request, &image->pixels.image, &error);
		fetched = !connection_leave(self) && !status;
		if (!fetched)
			error_raise(&error);
	}
	Py_DECREF(keep);
	if (fetched)
		return image_ready(image);
	Py_XDECREF((PyObject *)image);
	return NULL;
}

PyObject *connection_info(
	struct connection_object *self, PyObject *name, const struct call_options *chosen)
{
	struct shmsem_request request = chosen->request;
	struct shmsem_error error;
	struct shmsem_info info;
	bool known = false;
	PyObject *keep;
	int status;

	request.name = name_text(name, &keep);
	if (!request.name)
		return NULL;
	if (!connection_enter(self)) {
		status = shmsem_info(self->client, &request, &info, &error);
		known = !connection_leave(self) && !status;
		if (!known)
			error_raise(&error);
	}
	Py_DECREF(keep);
	return known ? info_new(&info) : NULL;
}

static int add_name(void *list, const char *name)
{
	PyObject *text = PyUnicode_DecodeUTF8(name, (Py_ssize_t)strlen(name), "surrogateescape");
	int failed = text ? PyList_Append(list, text) : -1;

	Py_XDECREF(text);
	return failed;
}

PyObject *connection_names(struct connection_object *self)
{
	PyObject *list = PyList_New(0);
	struct shmsem_error error;

	if (!list || connection_enter(self)) {
		Py_XDECREF(list);
		return NULL;
	}
	if (shmsem_names(self->client, add_name, list, &error))
		error_raise(&error);
	connection_leave(self);
	if (PyErr_Occurred())
		Py_CLEAR(list);
	return list;
}

PyObject *connection_prefetch(
	struct connection_object *self, PyObject *names, const struct call_options *chosen)
{
	/* Without a turn: it does not wait for a call that another thread is in. */
	forget_parent(self);
	if (self->closed)
		return error_usage("the connection was closed");
	return prefetch_add(&self->prefetch, &self->options, names, chosen) ? NULL
									    : Py_NewRef(Py_None);
}

/* ---- life ---- */

PyObject *space_resolve(PyObject *space)
{
	const char *preset = getenv("SHMSEM_NAMESPACE");

	if (space && space != Py_None)
		return PyObject_Str(space);
	return PyUnicode_DecodeFSDefault(preset && preset[0] ? preset : "shmsem");
}

int server_user_parse(PyObject *user, struct shmsem_connect_options *options)
{
	struct shmsem_error error;
	PyObject *text, *keep;
	const char *name;

	if (user == Py_None)
		return 0;
	text = PyObject_Str(user);
	name = text ? name_text(text, &keep) : NULL;
	if (name) {
		if (shmsem_server_user(options, name, &error))
			error_raise(&error);
		Py_DECREF(keep);
	}
	Py_XDECREF(text);
	return PyErr_Occurred() ? -1 : 0;
}

PyObject *connection_new(
	PyObject *space, PyObject *wait, PyObject *timeout, bool guard, PyObject *server_user)
{
	struct connection_object *self = PyObject_New(struct connection_object, connection_type);
	const char *text = NULL;
	PyObject *keep = NULL;

	if (!self)
		return NULL;
	memset((char *)self + sizeof self->ob_base, 0, sizeof *self - sizeof self->ob_base);
	sem_init(&self->turns, 0, 0);
	self->generation = process_generation;
	self->space = space_resolve(space);
	if (self->space)
		text = name_text(self->space, &keep);
	self->space_text = text ? strdup(text) : NULL;
	Py_XDECREF(keep);
	self->options.flags = guard ? SHMSEM_GUARD_SIGBUS : 0;
	if (!self->space_text || seconds_parse(wait, "wait", &self->options.wait_ns) ||
		seconds_parse(timeout, "timeout", &self->options.timeout_ns) ||
		server_user_parse(server_user, &self->options)) {
		if (!PyErr_Occurred())
			PyErr_NoMemory();
		Py_DECREF((PyObject *)self);
		return NULL;
	}
	self->options.name_space = self->space_text;
	self->options.wait_hook = on_wait;
	self->options.wait_data = self;
	return (PyObject *)self;
}

/* The process's own connections, by namespace; and the one that was used last. */
struct connection_object *connection_default(PyObject *space)
{
	static PyObject *kept;
	static struct connection_object *last;
	const char *preset = space ? NULL : getenv("SHMSEM_NAMESPACE");
	PyObject *key, *found;

	if (!space && last && !strcmp(last->space_text, preset && preset[0] ? preset : "shmsem"))
		return last;
	if (!kept)
		kept = PyDict_New();
	key = kept ? space_resolve(space) : NULL;
	if (!key)
		return NULL;
	found = PyDict_GetItemWithError(kept, key);
	if (!found && !PyErr_Occurred()) {
		found = connection_new(key, Py_None, Py_None, false, Py_None);
		if (found && PyDict_SetItem(kept, key, found))
			Py_CLEAR(found);
		else
			Py_XDECREF(found);
	}
	Py_DECREF(key);
	if (found)
		last = (struct connection_object *)found;
	return last && found ? last : NULL;
}

PyObject *connection_call(struct connection_object *self, unsigned calls, connection_work *work,
	const struct call *call)
{
	struct call_options chosen;
	PyObject *first;

	if (call_options_parse(&chosen, calls, call, &first))
		return NULL;
	if (!self)
		self = connection_default(chosen.space);
	return self ? work(self, first, &chosen) : NULL;
}

int connection_close(struct connection_object *self)
{
	forget_parent(self);
	if (self->closed)
		return 0;
	if (take_turn(self))
		return -1;
	self->closed = true;
	shmsem_close(self->client);
	self->client = NULL;
	self->prefetch = prefetch_free(self->prefetch);
	return connection_leave(self);
}

void connection_release(struct connection_object *self)
{
	if (self->generation == process_generation) {
		shmsem_close(self->client);
		prefetch_free(self->prefetch);
	}
	sem_destroy(&self->turns);
	free(self->space_text);
	Py_XDECREF(self->space);
}
