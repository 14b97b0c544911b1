#include "server/changes.h"

#include "base/mountinfo.h"
#include "server/publish.h"
#include "server/thread_word.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* What comes all the time must not hold us up: nothing is found until it is less. */
#define ROUNDS_MAX 8

/* The ring on a page of the index, which says of itself where it is. */
static struct change_flag *share(struct index *index, unsigned number, int fd, short events)
{
	uint8_t *page = index->segment.base + (1 + (size_t)number) * index->page;
	struct change_flag *ring = change_flag_new(fd, events, page);
	struct wire_ring_mark *mark;

	if (!ring)
		return NULL;
	index_header(index)->ring[number] = change_flag_ring(ring, index->segment.base);
	index->ring[number].mark = mark =
		(struct wire_ring_mark *)(void *)(index->segment.base +
						  index_header(index)->ring[number].mark);
	*mark = (struct wire_ring_mark){WIRE_RING_MAGIC, index->instance};
	return ring;
}

/* Nothing happened that we have not taken in. Of a page that somebody took away under the kernel
 * nothing is believed. */
static bool all_clear(const struct server *server)
{
	return change_flag_clear(server->watch_flag) && change_flag_clear(server->mounts_flag) &&
	       index_rings_whole(&server->objects.index);
}

static void free_rings(struct server *server)
{
	server->watch_flag = change_flag_free(server->watch_flag);
	server->mounts_flag = change_flag_free(server->mounts_flag);
	if (server->mounts_file >= 0)
		close(server->mounts_file);
	server->mounts_file = -1;
	server->flags_shared = false;
}

void changes_stop(struct server *server)
{
	free_rings(server);
	server->request_word = thread_word_free(server->request_word);
}

void changes_start(struct server *server)
{
	struct index *index = &server->objects.index;
	int events = watch_descriptor(server->watch);

	if (!server->store.index.index || !index->rings) {
		server->watch_flag = change_flag_new(events, POLLIN, NULL);
		return;
	}
	/* Until the rings are armed. */
	index_shut(index);
	server->mounts_file = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
	server->watch_flag = share(index, 0, events, POLLIN);
	server->mounts_flag = share(index, 1, server->mounts_file, POLLPRI);
	server->flags_shared = server->watch_flag && server->mounts_flag;
	if (server->flags_shared)
		return;
	free_rings(server);
	publish_stop(server);
	server->watch_flag = change_flag_new(events, POLLIN, NULL);
}

void changes_begin(struct server *server)
{
	/* Without it nobody believes what the rings say, and all ask. */
	if (server->flags_shared)
		server->request_word = thread_word_take(
			&index_header(&server->objects.index)->owner);
	store_lock(&server->store);
	changes_take_in(server);
	store_unlock(&server->store);
}

/* Whether all that happened is taken in, and what happens from now on is noted. */
static bool settle(struct server *server)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		/* Before the ring is armed: it notes what comes after, and says at once what is
		 * there already. */
		watch_update(server->watch);
		if (!change_flag_clear(server->mounts_flag) ||
			!index_rings_whole(&server->objects.index))
			watch_look_at_mounts(server->watch);
		if (!change_flag_arm(server->watch_flag) || !change_flag_arm(server->mounts_flag))
			return false;
		if (all_clear(server))
			return true;
	}
	return false;
}

void changes_take_in(struct server *server)
{
	struct index_writer *writer = &server->store.index;

	/* It was given up. */
	if (server->flags_shared && !writer->index) {
		free_rings(server);
		server->watch_flag = change_flag_new(watch_descriptor(server->watch), POLLIN, NULL);
	}
	if (!server->flags_shared) {
		index_writer_begin(writer);
		watch_glance(server->watch, server->watch_flag);
		index_writer_end(writer);
		return;
	}
	if (all_clear(server))
		return;
	/* Odd before a ring is entered, which clears what it has noted: the fence that follows the
	 * odd word orders that for those who see the ring clear. */
	index_writer_begin(writer);
	index_writer_let(writer, settle(server));
	index_writer_end(writer);
}
