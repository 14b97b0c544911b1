#include "python/batch.h"

#include "python/errors.h"
#include "python/image.h"
#include "python/names.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 16
/* How often a wait looks for signals that another thread was given. */
#define LOOK_MS 100

struct batch {
	struct connection_object *connection;
	const struct call_options *chosen;
	PyObject *names; /* a list */
	Py_ssize_t count;
	PyObject *results; /* a list: of fetch_many */
	PyObject *array;   /* of fetch_batch */
	Py_buffer out;     /* its bytes, once `first` is known */
	PyObject *first;   /* the image that all must be like */
};

/* ---- where the images go ---- */

static PyObject *new_array(Py_ssize_t count, const struct image_object *like)
{
	PyObject *numpy = PyImport_ImportModule("numpy"), *array = NULL;

	if (numpy)
		array = PyObject_CallMethod(numpy, "empty", "(nnnn)s", count, like->pixels.shape[0],
			like->pixels.shape[1], like->pixels.shape[2],
			like->pixels.image.info.bits == 16 ? "uint16" : "uint8");
	Py_XDECREF(numpy);
	return array;
}

/* Makes the array, or checks the one that was given, by the first image. */
static int begin_array(struct batch *batch, PyObject *image)
{
	const struct image_object *like = (struct image_object *)image;
	uint64_t size = like->pixels.image.info.bytes * (uint64_t)batch->count;

	batch->array = batch->chosen->out ? Py_NewRef(batch->chosen->out)
					  : new_array(batch->count, like);
	if (!batch->array || PyObject_GetBuffer(batch->array, &batch->out, PyBUF_WRITABLE))
		return -1;
	batch->first = Py_NewRef(image);
	if ((uint64_t)batch->out.len == size)
		return 0;
	error_usage("out has %zd bytes; %zd images of %zdx%zdx%zd have %llu", batch->out.len,
		batch->count, like->pixels.shape[0], like->pixels.shape[1], like->pixels.shape[2],
		(unsigned long long)size);
	return -1;
}

static bool same_geometry(const struct image_object *a, const struct image_object *b)
{
	return !memcmp(a->pixels.shape, b->pixels.shape, sizeof a->pixels.shape) &&
	       a->pixels.image.info.bits == b->pixels.image.info.bits;
}

static int copy_into_array(struct batch *batch, Py_ssize_t index, const struct image_object *own)
{
	const struct image_object *first = (struct image_object *)batch->first;
	size_t size = own->pixels.image.info.bytes;

	if (same_geometry(own, first)) {
		copy_bytes((char *)batch->out.buf + (size_t)index * size, image_samples(own), size);
		return 0;
	}
	error_usage("image %zd is %zdx%zdx%zd, the first one %zdx%zdx%zd; an array has one size",
		index, own->pixels.shape[0], own->pixels.shape[1], own->pixels.shape[2],
		first->pixels.shape[0], first->pixels.shape[1], first->pixels.shape[2]);
	return -1;
}

static int put_into_array(struct batch *batch, Py_ssize_t index, PyObject *image)
{
	PyObject *hold = image_hold((struct image_object *)image);
	int failed = 0;

	if (!hold)
		return -1;
	if (!batch->first)
		failed = begin_array(batch, (PyObject *)hold_image(hold));
	if (!failed)
		failed = copy_into_array(batch, index, hold_image(hold));
	Py_DECREF(hold);
	return failed;
}

/* Takes an image, or, if it is NULL, the exception that is raised. -1: it is the batch's end. */
static int deliver(struct batch *batch, Py_ssize_t index, PyObject *image)
{
	PyObject *type, *value, *trace;
	int failed;

	if (!image && (!batch->chosen->return_errors || !PyErr_ExceptionMatches(PyExc_Exception)))
		return -1;
	if (image && !batch->results) {
		failed = put_into_array(batch, index, image);
		Py_DECREF(image);
		return failed;
	}
	if (!image) {
		PyErr_Fetch(&type, &value, &trace);
		PyErr_NormalizeException(&type, &value, &trace);
		Py_XDECREF(type);
		Py_XDECREF(trace);
		image = value;
	}
	return PyList_SetItem(batch->results, index, image);
}

static int fetch_one(struct batch *batch, Py_ssize_t index, bool *ret_stored)
{
	PyObject *image = connection_fetch(
		batch->connection, PyList_GetItem(batch->names, index), batch->chosen);

	*ret_stored = image && ((struct image_object *)image)->pixels.image.info.from_store;
	return deliver(batch, index, image);
}

/* ---- decoding at the same time ---- */

static int submit(struct batch *batch, struct shmsem_queue *queue, Py_ssize_t index)
{
	struct shmsem_request request = batch->chosen->request;
	struct shmsem_error error;
	PyObject *keep;
	int status;

	request.name = name_text(PyList_GetItem(batch->names, index), &keep);
	if (!request.name)
		return -1;
	status = shmsem_submit(queue, &request, (void *)(intptr_t)index, &error);
	Py_DECREF(keep);
	if (status)
		error_raise(&error);
	return status ? -1 : 0;
}

/* Waits until there is something to collect. -1: a signal's handler raised an exception. */
static int await_result(struct shmsem_queue *queue, struct shmsem_result *ret)
{
	struct pollfd event = {.fd = shmsem_fd(queue), .events = POLLIN};

	while (shmsem_collect(queue, ret)) {
		Py_BEGIN_ALLOW_THREADS poll(&event, 1, LOOK_MS);
		Py_END_ALLOW_THREADS if (PyErr_CheckSignals()) return -1;
	}
	return 0;
}

/*
 * What the queue holds is in the store, so that the connection gets it at once, and holds it
 * itself: the queue's connections, and their seats, are needed for as long as something is decoded
 * only.
 */
static int collect(struct batch *batch, struct shmsem_queue *queue)
{
	struct shmsem_result result;
	Py_ssize_t index;
	bool stored;
	int failed;

	if (await_result(queue, &result))
		return -1;
	index = (intptr_t)result.tag;
	if (result.status) {
		error_raise(&result.error);
		return deliver(batch, index, NULL);
	}
	failed = fetch_one(batch, index, &stored);
	shmsem_release(&result.image);
	return failed;
}

static int fetch_together(struct batch *batch, Py_ssize_t begin)
{
	struct shmsem_connect_options options = batch->connection->options;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	Py_ssize_t left = batch->count - begin, threads = cpus < THREADS_MAX ? cpus : THREADS_MAX;
	struct shmsem_queue *queue;
	struct shmsem_error error;
	int failed = 0;

	options.wait_hook = NULL;
	if (threads > left)
		threads = left;
	if (shmsem_queue_open(&queue, &options, (unsigned)threads, &error)) {
		error_raise(&error);
		return -1;
	}
	for (Py_ssize_t i = begin; !failed && i < batch->count; i++)
		failed = submit(batch, queue, i);
	while (!failed && left--)
		failed = collect(batch, queue);
	/* What is still under way is cancelled, what was not collected is released. */
	Py_BEGIN_ALLOW_THREADS shmsem_queue_close(queue);
	Py_END_ALLOW_THREADS return failed;
}

/* ---- the calls ---- */

static int fetch_all(struct batch *batch)
{
	bool stored = true;
	int failed = 0;

	for (Py_ssize_t i = 0; !failed && i < batch->count; i++) {
		/* One that had to be decoded is seldom alone. */
		if (!stored && batch->count - i > 1)
			return fetch_together(batch, i);
		failed = fetch_one(batch, i, &stored);
	}
	return failed;
}

static int batch_begin(struct batch *batch, struct connection_object *connection, PyObject *names,
	const struct call_options *chosen)
{
	*batch = (struct batch){.connection = connection, .chosen = chosen};
	batch->names = names_list(names);
	if (!batch->names)
		return -1;
	batch->count = PyList_Size(batch->names);
	Py_XINCREF((PyObject *)connection);
	return 0;
}

static void batch_end(struct batch *batch)
{
	if (batch->out.obj)
		PyBuffer_Release(&batch->out);
	Py_XDECREF(batch->first);
	Py_DECREF(batch->names);
	Py_XDECREF((PyObject *)batch->connection);
}

PyObject *batch_fetch_many(
	struct connection_object *connection, PyObject *names, const struct call_options *chosen)
{
	struct batch batch;

	if (batch_begin(&batch, connection, names, chosen))
		return NULL;
	batch.results = PyList_New(batch.count);
	if (batch.results && fetch_all(&batch))
		Py_CLEAR(batch.results);
	batch_end(&batch);
	return batch.results;
}

PyObject *batch_fetch_batch(
	struct connection_object *connection, PyObject *names, const struct call_options *chosen)
{
	struct batch batch;

	if (batch_begin(&batch, connection, names, chosen))
		return NULL;
	if (!batch.count)
		error_usage("an array of no images has no size");
	if (!batch.count || fetch_all(&batch))
		Py_CLEAR(batch.array);
	batch_end(&batch);
	return batch.array;
}

PyObject *batch_stack(PyObject *module, PyObject *arguments)
{
	struct call_options chosen = {0};
	struct batch batch;
	PyObject *images;
	int failed = 0;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "OO", &images, &chosen.out) ||
		batch_begin(&batch, NULL, images, &chosen))
		return NULL;
	if (chosen.out == Py_None)
		chosen.out = NULL;
	if (!batch.count)
		error_usage("an array of no images has no size");
	for (Py_ssize_t i = 0; !failed && i < batch.count; i++)
		failed = put_into_array(&batch, i, PyList_GetItem(batch.names, i));
	if (failed)
		Py_CLEAR(batch.array);
	batch_end(&batch);
	return batch.array;
}
