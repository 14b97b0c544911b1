#include "client/connection.h"

#include "base/process.h"
#include "exchange/index_find.h"
#include "exchange/seats.h"
#include "shm/fork.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Connections that have ended. */
static struct connection *_Atomic spares;

static void put_spare(struct connection *connection)
{
	connection->next_spare = atomic_load(&spares);
	while (!atomic_compare_exchange_weak(&spares, &connection->next_spare, connection))
		;
}

/* Takes all and puts all but one back: no lock, which a fork could leave taken. */
static struct connection *take_spare(void)
{
	struct connection *taken = atomic_exchange(&spares, NULL), *rest, *next;

	for (rest = taken ? taken->next_spare : NULL; rest; rest = next) {
		next = rest->next_spare;
		put_spare(rest);
	}
	return taken;
}

static struct connection *allocate(void)
{
	const size_t kept = offsetof(struct connection, references);
	struct connection *connection = take_spare();

	if (!connection)
		return calloc(1, sizeof *connection);
	memset((char *)connection + kept, 0, sizeof *connection - kept);
	return connection;
}

/* The page that a semaphore lies in, guarded if that was asked for. */
static int guard_semaphore(const struct connection *connection, sem_t *semaphore)
{
	if (!connection->guarded || !semaphore)
		return -1;
	return guard_add(semaphore_page(semaphore), page_size());
}

static int open_objects(struct connection *connection, struct error *err)
{
	char name[OBJECT_NAME_SIZE];
	int status;

	status = semaphore_open(object_name(&connection->space, OBJECT_REQUEST, 0, name),
		&connection->request, err);
	if (!status)
		status = semaphore_open(
			object_name(&connection->space, OBJECT_RESPONSE, connection->seat, name),
			&connection->response, err);
	connection->request_guard = guard_semaphore(connection, connection->request);
	connection->response_guard = guard_semaphore(connection, connection->response);
	/* A HEAD that still has its name had these semaphores beside it when we opened them. */
	object_name(&connection->space, OBJECT_HEAD, 0, name);
	if ((status == STATUS_OK || status == STATUS_NOT_FOUND) &&
		!head_current(&connection->head, name))
		status = error_set(err, STATUS_UNAVAILABLE, "the server has ended");
	return status;
}

/* No child gets HEAD, whenever it is made: with that it would have the locks on it. */
static int open_head(
	struct connection *connection, const struct server_user *accepted, struct error *err)
{
	struct segment *segment = &connection->head.segment;
	int status;

	fork_block();
	status = head_open(
		&connection->space, accepted, connection->guarded, &connection->head, err);
	if (!status && !fork_hide(&segment->fd, segment->base, segment->reserved))
		status = error_os(err, ENOMEM, "cannot connect");
	fork_unblock();
	return status;
}

/* The seat is ours, its hold words void. */
static void begin_on_seat(struct connection *connection)
{
	const struct head *head = &connection->head;

	connection->seated = true;
	connection->sequence = WIRE_SEQUENCE(
		atomic_load(&head_seat(head, connection->seat)->state_word));
	connection->hold_page = head_hold_page(head, connection->seat, 0);
	connection->page_holds = (unsigned)wire_page_holds(head->page);
	connection->counters = head_seat_counters(head, connection->seat);
	connection->notes = head_note(head, connection->seat, 0);
}

int connection_open(const struct name_space *space, const struct server_user *accepted,
	bool guarded, uint64_t deadline, struct waiting *waiting, const struct file_id *except,
	struct connection **ret, struct error *err)
{
	struct connection *connection = allocate();
	int status;

	if (!connection)
		return error_os(err, ENOMEM, "cannot connect");
	connection->references = CONNECTION_CLIENT;
	connection->space = *space;
	connection->owner = process_id();
	connection->guarded = guarded;
	connection->head = HEAD_NONE;
	connection->index = INDEX_NONE;
	connection->request_guard = connection->response_guard = -1;
	status = open_head(connection, accepted, err);
	if (!status && except && file_id_equal(connection->head.segment.id, *except))
		status = error_set(err, STATUS_UNAVAILABLE, "the server has ended");
	if (status)
		goto fail;
	connection->data = calloc(connection->head.segments, sizeof *connection->data);
	if (!connection->data) {
		status = error_os(err, ENOMEM, "cannot connect");
		goto fail;
	}
	for (unsigned i = 0; i < connection->head.segments; i++)
		connection->data[i] = (struct data){.segment = SEGMENT_NONE, .guard = -1};
	status = seat_claim(&connection->head, deadline, waiting, &connection->seat, err);
	if (status)
		goto fail;
	begin_on_seat(connection);
	status = open_objects(connection, err);
	if (status)
		goto fail;
	wait_init(&connection->wait, connection->response, NULL);
	*ret = connection;
	return STATUS_OK;
fail:
	connection_leave(connection);
	return status;
}

void connection_free(struct connection *connection)
{
	/* A child of fork() has no HEAD; giving the seat back is the parent's business. */
	if (connection->owner != process_id())
		connection->head.segment.base = NULL;
	else if (connection->seated)
		seat_release(&connection->head, connection->seat);
	guard_remove(connection->request_guard);
	guard_remove(connection->response_guard);
	if (connection->request)
		semaphore_close(connection->request);
	if (connection->response)
		semaphore_close(connection->response);
	for (unsigned i = 0; connection->data && i < connection->head.segments; i++) {
		guard_remove(connection->data[i].guard);
		segment_release(&connection->data[i].segment);
	}
	free(connection->data);
	/* A child of fork() does not have it mapped. */
	if (connection->owner != process_id())
		connection->index.segment.base = NULL;
	index_release(&connection->index);
	fork_block();
	fork_keep(&connection->head.segment.fd);
	head_release(&connection->head);
	fork_unblock();
	put_spare(connection);
}

bool connection_damaged(const struct connection *connection)
{
	return connection->lost || guard_hit(connection->head.guard) ||
	       guard_hit(connection->request_guard) || guard_hit(connection->response_guard);
}

static int open_data(struct connection *connection, uint32_t index, struct error *err)
{
	struct data *data = &connection->data[index];
	char name[OBJECT_NAME_SIZE];
	int status;

	object_name(&connection->space, OBJECT_DATA, index, name);
	status = segment_open(name, false, connection->head.reserve, &data->segment, err);
	if (status == STATUS_NOT_FOUND)
		return error_set(err, STATUS_UNAVAILABLE, "the server has ended");
	if (status)
		return status;
	/* The name was free for a moment at the server's end. */
	if (data->segment.owner != connection->head.segment.owner) {
		segment_release(&data->segment);
		return error_set(err, STATUS_UNAVAILABLE, "the server has ended");
	}
	if (connection->guarded && data->segment.base)
		data->guard = guard_add(data->segment.base, data->segment.reserved);
	object_name(&connection->space, OBJECT_HEAD, 0, name);
	if (head_current(&connection->head, name))
		return STATUS_OK;
	guard_remove(data->guard);
	segment_release(&data->segment);
	*data = (struct data){
		.segment = SEGMENT_NONE, .guard = -1, .truncations = data->truncations};
	return error_set(err, STATUS_UNAVAILABLE, "the server has ended");
}

int connection_data(struct connection *connection, uint32_t segment, uint64_t offset,
	uint64_t length, const struct data **ret, struct error *err)
{
	struct data *data;
	int status;

	if (segment >= connection->head.segments)
		return error_set(err, STATUS_BAD_DATA,
			"the server's answer names data segment %u of %u", segment,
			connection->head.segments);
	data = &connection->data[segment];
	if (!data->segment.base) {
		status = open_data(connection, segment, err);
		if (status)
			return status;
	}
	if (guard_hit(data->guard)) {
		/* What was truncated may be whole again. */
		status = segment_remap(&data->segment, PROT_READ, err);
		if (status)
			return status;
		guard_clear(data->guard);
		data->truncations++;
		data->segment.size = 0;
	}
	if (offset > data->segment.reserved || length > data->segment.reserved - offset)
		return error_set(
			err, STATUS_BAD_DATA, "the server's answer lies outside its data segment");
	if (offset + length > data->segment.size) {
		status = segment_refresh(&data->segment, err);
		if (status)
			return status;
	}
	if (offset + length > data->segment.size)
		return error_set(err, STATUS_BAD_DATA,
			"the data segment was truncated at %zu bytes", data->segment.size);
	*ret = data;
	return STATUS_OK;
}

int connection_check(struct connection *connection, unsigned hold, uint32_t segment, uint64_t end,
	struct error *err)
{
	const struct wire_server *server = head_server(&connection->head);
	struct data *data = &connection->data[segment];
	int status = segment_refresh(&data->segment, err);

	if (status)
		return status;
	if (data->segment.size < end || guard_hit(data->guard) ||
		data->truncations + atomic_load(&server->truncations) !=
			connection->truncations[hold])
		return error_set(err, STATUS_BAD_DATA, "the segment under the image was truncated");
	return STATUS_OK;
}

_Atomic uint64_t *connection_far_hold_word(const struct connection *connection, unsigned hold)
{
	return head_hold(&connection->head, connection->seat, hold);
}

_Atomic uint64_t *connection_mark_hold_word(struct connection *connection, unsigned hold)
{
	if (hold >= connection->mark) {
		head_raise_mark(&connection->head, connection->seat, hold);
		connection->mark = hold + 1;
		connection->near_holds = connection->mark < connection->page_holds
						 ? connection->mark
						 : connection->page_holds;
	}
	return connection_hold_word(connection, hold);
}
