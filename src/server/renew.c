#include "server/renew.h"

#include "server/changes.h"
#include "server/publish.h"
#include "shm/guard.h"

#include <sys/stat.h>

/* So often in a row no change could be taken in: the rings are not as the kernel left them. */
#define UNSETTLED_MAX 8

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

static void check(struct server *server)
{
	bool whole = all_there(&server->objects.index);

	store_lock(&server->store);
	server->index_unsettled = server->objects.index.shut ? server->index_unsettled + 1 : 0;
	if (!whole || !unchanged(server) || server->index_unsettled > UNSETTLED_MAX)
		publish_stop(server);
	store_unlock(&server->store);
}

/* Nobody but us knows of the new one yet. */
static void make(struct server *server)
{
	struct server_objects *objects = &server->objects;

	if (!publish_possible(server) || server_objects_renew_index(objects, NULL))
		return;
	store_lock(&server->store);
	if (publish_start(server, NULL))
		server_objects_drop_index(objects);
	else
		changes_start(server);
	server->index_unsettled = 0;
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
	store_lock(&server->store);
	free = changes_index_free(server);
	store_unlock(&server->store);
	if (free && server->objects.options.index_entries)
		make(server);
}
