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
	struct wire_ring offsets;

	if (!ring)
		return NULL;
	offsets = change_flag_ring(ring, index->segment.base);
	index_set_ring(index, number, &offsets);
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

static void poll_alone(struct server *server)
{
	server->watch_flag = change_flag_new(watch_descriptor(server->watch), POLLIN, NULL);
}

void changes_start(struct server *server)
{
	struct index *index = &server->objects.index;

	/* Another one is needed where requesters look at it. */
	server->watch_flag = change_flag_free(server->watch_flag);
	if (!server->store.index.index || !index->rings) {
		poll_alone(server);
		return;
	}
	/* Until the rings are armed. */
	index_shut(index);
	server->mounts_file = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
	server->watch_flag = share(index, 0, watch_descriptor(server->watch), POLLIN);
	server->mounts_flag = share(index, 1, server->mounts_file, POLLPRI);
	server->flags_shared = server->watch_flag && server->mounts_flag;
	if (server->flags_shared)
		return;
	free_rings(server);
	publish_stop(server);
	poll_alone(server);
}

bool changes_index_free(const struct server *server)
{
	return !server->flags_shared && !server->request_word;
}

/* Nothing of ours is in the index any more. */
static void leave_index(struct server *server)
{
	server->request_word = thread_word_leave(server->request_word);
	free_rings(server);
	poll_alone(server);
}

/* A change of mounts is told once: so first the ring is armed, which notes what comes after, and then
 * they are read. False if the ring cannot be armed. */
static bool take_in_mounts(struct server *server)
{
	bool armed;

	if (change_flag_clear(server->mounts_flag) && index_rings_whole(&server->objects.index))
		return true;
	armed = change_flag_arm(server->mounts_flag);
	watch_look_at_mounts(server->watch);
	return armed;
}

/* Whether all that happened is taken in, and what happens from now on is noted. */
static bool settle(struct server *server)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		bool armed;

		/* Before the ring is armed: it notes what comes after, and says at once what is
		 * there already. */
		watch_update(server->watch);
		armed = change_flag_arm(server->watch_flag);
		if (!take_in_mounts(server) || !armed)
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
	if (server->flags_shared && !writer->index)
		leave_index(server);
	if (!server->flags_shared) {
		index_writer_begin(writer);
		watch_glance(server->watch, server->watch_flag);
		index_writer_end(writer);
		return;
	}
	if (all_clear(server))
		return;
	/* Without it nobody believes what the rings say, and all ask. */
	if (!server->request_word)
		server->request_word = thread_word_take(
			&index_header(&server->objects.index)->owner);
	/* Odd before a ring is entered, which clears what it has noted: the fence that follows the
	 * odd word orders that for those who see the ring clear. */
	index_writer_begin(writer);
	index_writer_let(writer, settle(server));
	index_writer_end(writer);
}
