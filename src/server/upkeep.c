/* What the main thread does from time to time, also while images are preloaded (server.h). */
#include "server/internal.h"

#include "base/clock.h"
#include "exchange/seats.h"
#include "server/blocking.h"
#include "server/pool.h"
#include "server/prefetch.h"
#include "server/publish.h"
#include "server/renew.h"
#include "server/repair.h"

/* One call of server_upkeep in so many is thorough. */
#define THOROUGH_TURNS 4

/* Between two calls, and while nobody asks. */
#define UPKEEP_NS       (250 * NS_PER_MS)
#define UPKEEP_QUIET_NS (500 * NS_PER_MS)

int server_upkeep(struct server *server, bool *ret_done, struct error *err)
{
	/* What may be found a little later: an idle server has to cost next to nothing. */
	bool thorough = server->turns++ % THOROUGH_TURNS == 0;
	int status = repair_objects(server, thorough, err);

	if (status)
		return status;
	serving_remind(&server->serving);
	store_lock(&server->store);
	if (thorough)
		seats_reclaim(&server->objects.head);
	server->queued = seats_remind(&server->objects.head);
	prefetch_upkeep(server);
	store_unlock(&server->store);
	pool_upkeep(server);
	blocking_upkeep(server);
	renew_index(server);
	publish_grow(server);
	store_lock(&server->store);
	if (store_check_segments(&server->store))
		server_wake_supply(server);
	store_tell_sums(&server->store);
	publish_lack_of_watches(server);
	store_unlock(&server->store);
	*ret_done = server->options.requests &&
		    atomic_load(&server->answers) >= server->options.requests;
	return STATUS_OK;
}

uint64_t server_upkeep_ns(const struct server *server)
{
	return serving_quiet(&server->serving) && !server->queued ? UPKEEP_QUIET_NS : UPKEEP_NS;
}
