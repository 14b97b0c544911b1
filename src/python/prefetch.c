#include "python/prefetch.h"

#include "python/errors.h"
#include "python/names.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct item {
	struct item *next;
	struct shmsem_request request;
	char name[]; /* terminated */
};

struct prefetch {
	pthread_mutex_t lock;
	struct item *first, **last;
	bool running; /* its thread does */
	bool ended;   /* nobody puts more in line; the thread frees it */
	struct shmsem_connect_options options;
	char space[];
};

/* ---- in a thread that knows no Python ---- */

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

/* The next in line; NULL if there is none. */
static struct item *take(struct prefetch *prefetch)
{
	struct item *item;

	pthread_mutex_lock(&prefetch->lock);
	item = prefetch->first;
	if (item)
		prefetch->first = item->next;
	if (!prefetch->first)
		prefetch->last = &prefetch->first;
	pthread_mutex_unlock(&prefetch->lock);
	return item;
}

static bool has_ended(struct prefetch *prefetch)
{
	bool ended;

	pthread_mutex_lock(&prefetch->lock);
	ended = prefetch->ended;
	pthread_mutex_unlock(&prefetch->lock);
	return ended;
}

/* Ends what the thread waits for, a server included. */
static int look_whether_ended(void *context, int sleeps)
{
	return !sleeps && has_ended(context);
}

/* The readers may take their time. */
static bool timed_out(struct prefetch *prefetch, int status)
{
	return status == SHMSEM_TRY_AGAIN && !has_ended(prefetch);
}

/* Has it decoded by a server that cannot prefetch. What fails ahead fails again where it is waited for,
 * and is told there. */
static void fetch(struct shmsem *client, const struct item *item)
{
	struct shmsem_image image;

	if (!shmsem_fetch(client, &item->request, &image, NULL))
		shmsem_release(&image);
}

/* Whether there is more in line by now; if not, the thread ends. */
static bool goes_on(struct prefetch *prefetch)
{
	bool more, last;

	pthread_mutex_lock(&prefetch->lock);
	more = prefetch->first;
	prefetch->running = more;
	last = !more && prefetch->ended;
	pthread_mutex_unlock(&prefetch->lock);
	if (last)
		destroy(prefetch);
	return more;
}

/* All that is in line, until it is decoded: as long as that takes it stays connected. */
static void work_off(struct prefetch *prefetch, struct shmsem *client)
{
	struct shmsem_prefetched got = {0};
	struct item *item;
	int status;

	while ((item = take(prefetch))) {
		do
			status = shmsem_prefetch(client, &item->request, &got, NULL);
		while (timed_out(prefetch, status));
		if (status == SHMSEM_USAGE)
			fetch(client, item);
		free(item);
	}
	do
		status = shmsem_prefetch_wait(client, 0, &got, NULL);
	while ((!status && got.listed && !has_ended(prefetch)) || timed_out(prefetch, status));
}

static void *work(void *context)
{
	struct prefetch *prefetch = context;
	struct shmsem *client;
	struct item *item;

	do {
		if (shmsem_connect(&client, &prefetch->options, NULL)) {
			while ((item = take(prefetch)))
				free(item);
			continue;
		}
		work_off(prefetch, client);
		shmsem_close(client);
	} while (goes_on(prefetch));
	return NULL;
}

static void start_thread(struct prefetch *prefetch)
{
	sigset_t all, before;
	pthread_t thread;

	/* Signals are for the threads of the interpreter; but a SIGBUS is for the thread that reads
	 * a truncated segment, and blocked there it would end the process. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&prefetch->lock);
	if (!prefetch->running && !pthread_create(&thread, NULL, work, prefetch)) {
		pthread_detach(thread);
		prefetch->running = true;
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
	prefetch->options.wait_hook = look_whether_ended;
	prefetch->options.wait_data = prefetch;
	/* Nobody waits for its calls, which are made again after that: too short a time would be spent on
	 * them alone. */
	prefetch->options.timeout_ns = 0;
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
		item->request.timeout_ns = 0;
		item->request.name = item->name;
	} else {
		PyErr_NoMemory();
	}
	Py_DECREF(keep);
	return item;
}

/* As a fetch of it would say. */
static int check_item(const struct item *item)
{
	struct shmsem_error error;

	if (!shmsem_check_request(&item->request, &error))
		return 0;
	error_raise(&error);
	return -1;
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

		if (item) {
			**ret_last = item;
			*ret_last = &item->next;
		}
		if (!item || check_item(item)) {
			drop_all(*ret_first);
			count = -1;
		}
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
	start_thread(*prefetch);
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
	last = !prefetch->running;
	pthread_mutex_unlock(&prefetch->lock);
	drop_all(dropped);
	if (last)
		destroy(prefetch);
	return NULL;
}
