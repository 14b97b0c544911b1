#include "python/prefetch.h"

#include "python/errors.h"
#include "python/names.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Images that are decoded ahead at the same time: what is waited for comes in between. */
#define THREADS_MAX 4

struct item {
	struct item *next;
	struct shmsem_request request;
	char name[]; /* terminated */
};

struct prefetch {
	pthread_mutex_t lock;
	struct item *first, **last;
	unsigned threads;
	bool ended; /* nobody puts more in line; the last thread frees it */
	struct shmsem_connect_options options;
	char space[];
};

/* ---- in threads that know no Python ---- */

static void drop_all(struct item *item)
{
	for (struct item *next; item; item = next) {
		next = item->next;
		free(item);
	}
}

static void destroy(struct prefetch *prefetch)
{
	drop_all(prefetch->first);
	pthread_mutex_destroy(&prefetch->lock);
	free(prefetch);
}

/* The next in line; NULL if there is none, and then this thread is at its end. */
static struct item *take(struct prefetch *prefetch)
{
	struct item *item;
	bool last;

	pthread_mutex_lock(&prefetch->lock);
	item = prefetch->first;
	if (item)
		prefetch->first = item->next;
	if (!prefetch->first)
		prefetch->last = &prefetch->first;
	if (!item)
		prefetch->threads--;
	last = !item && prefetch->ended && !prefetch->threads;
	pthread_mutex_unlock(&prefetch->lock);
	if (last)
		destroy(prefetch);
	return item;
}

/* What fails ahead fails again where it is waited for, and is told there. */
static void *work(void *context)
{
	struct prefetch *prefetch = context;
	struct shmsem_image image;
	struct shmsem *client;
	struct item *item;

	if (shmsem_connect(&client, &prefetch->options, NULL))
		client = NULL;
	while ((item = take(prefetch))) {
		if (client && !shmsem_fetch(client, &item->request, &image, NULL))
			shmsem_release(&image);
		free(item);
	}
	shmsem_close(client);
	return NULL;
}

/* Starts threads until there are as many as may be, or as there is something for. */
static void start_threads(struct prefetch *prefetch, size_t added)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned most = cpus < THREADS_MAX ? (unsigned)cpus : THREADS_MAX;
	sigset_t all, before;
	pthread_t thread;

	/* Signals are for the threads of the interpreter; but a SIGBUS is for the thread that reads
	 * a truncated segment, and blocked there it would end the process. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&prefetch->lock);
	while (added-- && prefetch->threads < most &&
		!pthread_create(&thread, NULL, work, prefetch)) {
		pthread_detach(thread);
		prefetch->threads++;
	}
	pthread_mutex_unlock(&prefetch->lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- called with Python's lock held ---- */

static struct prefetch *prefetch_new(const struct shmsem_connect_options *options)
{
	size_t length = strlen(options->name_space);
	struct prefetch *prefetch = calloc(1, sizeof *prefetch + length + 1);

	if (!prefetch) {
		PyErr_NoMemory();
		return NULL;
	}
	pthread_mutex_init(&prefetch->lock, NULL);
	prefetch->last = &prefetch->first;
	memcpy(prefetch->space, options->name_space, length);
	prefetch->options = *options;
	prefetch->options.name_space = prefetch->space;
	prefetch->options.wait_hook = NULL;
	return prefetch;
}

static struct item *item_new(PyObject *name, const struct call_options *chosen)
{
	struct item *item = NULL;
	PyObject *keep;
	const char *text = name_text(name, &keep);
	size_t length;

	if (!text)
		return NULL;
	length = strlen(text);
	item = calloc(1, sizeof *item + length + 1);
	if (item) {
		memcpy(item->name, text, length);
		item->request = chosen->request;
		item->request.name = item->name;
	} else {
		PyErr_NoMemory();
	}
	Py_DECREF(keep);
	return item;
}

/* A list of items for the names; the number of them, or -1 with an exception. */
static Py_ssize_t make_items(PyObject *names, const struct call_options *chosen,
	struct item **ret_first, struct item ***ret_last)
{
	PyObject *list = names_list(names);
	Py_ssize_t count = list ? PyList_Size(list) : -1;

	*ret_first = NULL;
	*ret_last = ret_first;
	for (Py_ssize_t i = 0; i < count; i++) {
		struct item *item = item_new(PyList_GetItem(list, i), chosen);

		if (!item) {
			drop_all(*ret_first);
			count = -1;
			break;
		}
		**ret_last = item;
		*ret_last = &item->next;
	}
	Py_XDECREF(list);
	return count;
}

int prefetch_add(struct prefetch **prefetch, const struct shmsem_connect_options *options,
	PyObject *names, const struct call_options *chosen)
{
	struct item *first, **last;
	Py_ssize_t count = make_items(names, chosen, &first, &last);

	if (count <= 0)
		return (int)count;
	if (!*prefetch)
		*prefetch = prefetch_new(options);
	if (!*prefetch) {
		drop_all(first);
		return -1;
	}
	pthread_mutex_lock(&(*prefetch)->lock);
	*(*prefetch)->last = first;
	(*prefetch)->last = last;
	pthread_mutex_unlock(&(*prefetch)->lock);
	start_threads(*prefetch, (size_t)count);
	return 0;
}

struct prefetch *prefetch_free(struct prefetch *prefetch)
{
	struct item *dropped;
	bool last;

	if (!prefetch)
		return NULL;
	pthread_mutex_lock(&prefetch->lock);
	dropped = prefetch->first;
	prefetch->first = NULL;
	prefetch->last = &prefetch->first;
	prefetch->ended = true;
	last = !prefetch->threads;
	pthread_mutex_unlock(&prefetch->lock);
	drop_all(dropped);
	if (last)
		destroy(prefetch);
	return NULL;
}
