#include "server/renew.h"

#include "exchange/server_index.h"
#include "server/changes.h"
#include "server/publish.h"
#include "shm/guard.h"

#include <sys/stat.h>

/* Turns of upkeep, of which there are two to four a second. For so many in a row no change could be
 * taken in: the rings are not as the kernel left them. */
#define SHUT_MAX 8

/* Where one index after another cannot be armed, each means work for all clients: the waits. */
#define WAIT_FIRST 4
#define WAIT_MAX   240

/* Neither shorter nor emptier than we made it. */
static bool all_there(const struct index *index)
{
	uint64_t least = wire_index_start(index->page, index->rings) +
			 wire_table_size(index->page, index->entries);
	struct stat status;

	return fstat(index->segment.fd, &status) != 0 ||
	       ((size_t)status.st_size >= index->segment.size &&
		       (uint64_t)status.st_blocks * 512 >= least);
}

/* With the store's lock held: then it says what was written last. */
static bool unchanged(const struct server *server)
{
	const struct index *index = &server->objects.index;
	bool lives = atomic_load(&index_header(index)->owner) & WIRE_OWNER_LIVES;

	return index_whole(index) && lives == !!server->request_word && !guard_hit(index->guard);
}

/* Whether changes come to it; how long to wait for another one, if not. */
static bool armed(struct renewal *renewal, bool shut)
{
	renewal->shut = shut ? renewal->shut + 1 : 0;
	renewal->open = shut ? 0 : renewal->open + 1;
	if (renewal->open >= WAIT_MAX)
		renewal->wait = 0;
	if (renewal->shut <= SHUT_MAX)
		return true;
	renewal->wait = renewal->wait ? 2 * renewal->wait : WAIT_FIRST;
	if (renewal->wait > WAIT_MAX)
		renewal->wait = WAIT_MAX;
	renewal->left = renewal->wait;
	return false;
}

static void check(struct server *server)
{
	bool whole = all_there(&server->objects.index);

	store_lock(&server->store);
	if (!whole || !unchanged(server) || !armed(&server->renewal, server->objects.index.shut))
		publish_stop(server);
	store_unlock(&server->store);
}

/* Nobody but us knows of the new one yet. */
static void make(struct server *server)
{
	struct server_objects *objects = &server->objects;

	if (!publish_possible(server) || server_index_renew(objects, NULL))
		return;
	store_lock(&server->store);
	if (publish_start(server, NULL))
		server_index_drop(objects);
	else
		changes_start(server);
	server->renewal.shut = server->renewal.open = 0;
	if (server->store.index.index)
		publish_announce(server);
	store_unlock(&server->store);
}

void renew_index(struct server *server)
{
	bool free;

	if (server->store.index.index) {
		check(server);
		return;
	}
	if (server->renewal.left) {
		server->renewal.left--;
		return;
	}
	store_lock(&server->store);
	free = changes_index_free(server);
	store_unlock(&server->store);
	if (free && server->objects.options.index_entries)
		make(server);
}
