/*
 * libshmsem: fetching in threads of its own, for programs that must not wait.
 */
#include "base/io.h"
#include "base/process.h"
#include "client/client.h"
#include "client/error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX 64

/* A request on its way through the queue, and then its result. */
struct item {
	struct item *next;
	struct shmsem_request request;
	struct shmsem_result result;
	char name[];
};

struct list {
	struct item *first, **last;
};

struct worker {
	struct shmsem_queue *queue;
	pthread_t thread;
	struct shmsem *client; /* cancelled by who closes the queue */
};

struct shmsem_queue {
	pid_t owner;
	int event; /* counts what is to be collected */
	pthread_mutex_t lock;
	pthread_cond_t wanted;
	struct list todo, done;
	bool closing;
	unsigned threads, started;
	struct worker workers[];
};

static void list_append(struct list *list, struct item *item)
{
	item->next = NULL;
	*list->last = item;
	list->last = &item->next;
}

static struct item *list_take(struct list *list)
{
	struct item *item = list->first;

	if (!item)
		return NULL;
	list->first = item->next;
	if (!list->first)
		list->last = &list->first;
	return item;
}

static void run(struct worker *worker, struct item *item)
{
	struct shmsem_result *result = &item->result;
	struct error err = {0};
	int status = client_connect(worker->client, &err);

	result->status = status ? error_export(&result->error, &err, status)
				: shmsem_fetch(worker->client, &item->request, &result->image,
					  &result->error);
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	struct shmsem_queue *queue = worker->queue;

	pthread_mutex_lock(&queue->lock);
	for (;;) {
		struct item *item;

		while (!queue->closing && !queue->todo.first)
			pthread_cond_wait(&queue->wanted, &queue->lock);
		if (queue->closing)
			break;
		item = list_take(&queue->todo);
		pthread_mutex_unlock(&queue->lock);
		run(worker, item);
		pthread_mutex_lock(&queue->lock);
		list_append(&queue->done, item);
		eventfd_write(queue->event, 1);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

static int start(struct shmsem_queue *queue, unsigned threads,
	const struct shmsem_connect_options *options, struct error *err)
{
	sigset_t before;
	int failed = 0, status;

	for (unsigned i = 0; i < threads; i++) {
		queue->workers[i].queue = queue;
		status = client_new(&queue->workers[i].client, options, err);
		if (status)
			return status;
	}
	queue->event = fd_above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
	if (queue->event < 0)
		return error_os(err, errno, "cannot make a queue");
	process_block_signals(&before);
	for (unsigned i = 0; i < threads && !failed; i++) {
		failed = pthread_create(
			&queue->workers[i].thread, NULL, worker_main, &queue->workers[i]);
		queue->started += !failed;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed ? error_os(err, failed, "cannot make a queue") : STATUS_OK;
}

int shmsem_queue_open(struct shmsem_queue **ret, const struct shmsem_connect_options *options,
	unsigned threads, struct shmsem_error *error)
{
	struct shmsem_queue *queue;
	struct error err = {0};
	int status;

	if (!threads || threads > THREADS_MAX)
		return shmsem_fail(error, SHMSEM_USAGE, "a queue has 1 to %d threads, not %u",
			THREADS_MAX, threads);
	queue = calloc(1, sizeof *queue + threads * sizeof *queue->workers);
	if (!queue)
		return error_export(error, &err, error_os(&err, ENOMEM, "cannot make a queue"));
	queue->owner = process_id();
	queue->event = -1;
	queue->threads = threads;
	queue->todo.last = &queue->todo.first;
	queue->done.last = &queue->done.first;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->wanted, NULL);
	status = start(queue, threads, options, &err);
	if (status) {
		shmsem_queue_close(queue);
		return error_export(error, &err, status);
	}
	*ret = queue;
	return error_export(error, &err, SHMSEM_OK);
}

int shmsem_submit(struct shmsem_queue *queue, const struct shmsem_request *request, void *tag,
	struct shmsem_error *error)
{
	size_t size = request->name ? strlen(request->name) + 1 : 0;
	struct error err = {0};
	struct item *item;

	if (queue->owner != process_id())
		return shmsem_fail(error, SHMSEM_USAGE,
			"this queue was made before fork(); open one in the child");
	item = calloc(1, sizeof *item + size);
	if (!item)
		return error_export(error, &err, error_os(&err, ENOMEM, "cannot ask"));
	item->request = *request;
	item->result.tag = tag;
	if (size) {
		memcpy(item->name, request->name, size);
		item->request.name = item->name;
	}
	pthread_mutex_lock(&queue->lock);
	list_append(&queue->todo, item);
	pthread_cond_signal(&queue->wanted);
	pthread_mutex_unlock(&queue->lock);
	return error_export(error, &err, SHMSEM_OK);
}

int shmsem_fd(const struct shmsem_queue *queue)
{
	return queue->event;
}

int shmsem_collect(struct shmsem_queue *queue, struct shmsem_result *ret)
{
	struct item *item;
	eventfd_t one;

	if (queue->owner != process_id())
		return SHMSEM_TRY_AGAIN;
	pthread_mutex_lock(&queue->lock);
	item = list_take(&queue->done);
	if (item)
		eventfd_read(queue->event, &one);
	pthread_mutex_unlock(&queue->lock);
	if (!item)
		return SHMSEM_TRY_AGAIN;
	*ret = item->result;
	free(item);
	return SHMSEM_OK;
}

static void end_threads(struct shmsem_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closing = true;
	for (unsigned i = 0; i < queue->started; i++)
		shmsem_cancel(queue->workers[i].client);
	pthread_cond_broadcast(&queue->wanted);
	pthread_mutex_unlock(&queue->lock);
	for (unsigned i = 0; i < queue->started; i++)
		pthread_join(queue->workers[i].thread, NULL);
}

void shmsem_queue_close(struct shmsem_queue *queue)
{
	struct item *item;

	if (!queue)
		return;
	/* A child of fork() has none of the threads, and perhaps a lock that one of them held. */
	if (queue->owner == process_id())
		end_threads(queue);
	for (unsigned i = 0; i < queue->threads; i++)
		shmsem_close(queue->workers[i].client);
	while ((item = list_take(&queue->todo)))
		free(item);
	while ((item = list_take(&queue->done))) {
		shmsem_release(&item->result.image);
		free(item);
	}
	if (queue->event >= 0)
		close(queue->event);
	free(queue);
}
