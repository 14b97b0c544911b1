#include "exchange/server_index.h"

#include "shm/fork.h"
#include "shm/guard.h"

/* Bytes that INDEX has at first. */
static size_t index_size(const struct server_objects *server_objects)
{
	const struct server_objects_options *options = &server_objects->options;
	size_t page = server_objects->head.page;

	return wire_index_start(page, options->index_rings) +
	       wire_table_size(page, options->index_entries);
}

size_t server_index_reserve(const struct server_objects *server_objects)
{
	size_t size = index_size(server_objects);

	return server_objects->options.index_reserve > size ? server_objects->options.index_reserve
							    : size;
}

int server_index_create(struct server_objects *server_objects, struct error *err)
{
	const struct server_objects_options *options = &server_objects->options;
	struct segment *segment = &server_objects->index.segment;
	const struct head *head = &server_objects->head;
	struct access access = access_read_only(&options->access);
	int status;

	status = segment_new(index_size(server_objects), server_index_reserve(server_objects),
		&access, segment, err);
	if (status)
		return status;
	index_init(&server_objects->index, head->page, head->instance, options->index_entries,
		options->index_rings);
	server_objects->index.guard = guard_add(segment->base, segment->reserved);
	return published_segment(
		&server_objects->published, &options->space, segment, OBJECT_INDEX, 0, false, err);
}

void server_index_drop(struct server_objects *server_objects)
{
	index_shut(&server_objects->index);
	atomic_store(&head_server(&server_objects->head)->index_number, 0);
	published_unlink_kind(&server_objects->published, OBJECT_INDEX);
}

void server_index_release(struct server_objects *server_objects)
{
	fork_keep(&server_objects->index.segment.fd);
	index_release(&server_objects->index);
}

int server_index_renew(struct server_objects *server_objects, struct error *err)
{
	int status;

	server_index_release(server_objects);
	status = server_index_create(server_objects, err);
	if (status)
		server_index_release(server_objects);
	return status;
}

void server_index_announce(struct server_objects *server_objects)
{
	/* Release: the name leads to it already. */
	atomic_store_explicit(&head_server(&server_objects->head)->index_number,
		++server_objects->index_number, memory_order_release);
}
