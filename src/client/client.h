/* A client as the rest of the library needs it: made first, connected later, so that others can
 * cancel the connecting. */
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/process.h"
#include "base/waiting.h"
#include "client/connection.h"
#include "shm/names.h"
#include "shmsem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct shmsem {
	struct name_space space;
	uint64_t wait_ns, timeout_ns;
	unsigned flags;
	struct server_user accepted;
	shmsem_log *log;
	void *log_data;
	pid_t owner; /* the process that made it (base/process.h) */
	struct waiting waiting;
	struct connection *connection; /* NULL: to be made by the next call */
	bool lost;                     /* its server was found gone by this call */
	struct file_id lost_head;      /* of that server */
};

/* The time limit of a call that was given `timeout_ns`. */
static inline struct timeout client_timeout(const struct shmsem *client, uint64_t timeout_ns)
{
	return (struct timeout){.timeout_ns = timeout_ns ? timeout_ns : client->timeout_ns};
}

/* A client that is not connected; free it with shmsem_close. `options` may be NULL. */
int client_new(
	struct shmsem **ret, const struct shmsem_connect_options *options, struct error *err);

/* Connects it, waiting for a server as its options say; nothing to do if it is. */
int client_connect(struct shmsem *client, struct error *err);

/* Connects it if it is not, waiting for a server to appear until `appear`. */
int client_attach(
	struct shmsem *client, uint64_t appear, struct timeout *timeout, struct error *err);

/* Whether client_attach would have nothing to do. */
static inline bool client_attached(const struct shmsem *client)
{
	return client->connection && client->owner == process_id();
}

/* Drops its connection, so that the next call makes a new one; `lost` if its server is gone. */
void client_detach(struct shmsem *client, bool lost);

/*
 * After a call that found the server gone, to be tried once more: connects to its successor, which
 * may take a moment to appear, and until the deadline to be ready. If false, *err is what the call
 * is to report.
 */
bool client_reattach(struct shmsem *client, struct timeout *timeout, struct error *err);

/*
 * One request and its answer, as connection_call has them; for an attached client. After a server's
 * death or damage to HEAD it is detached.
 */
int client_call_once(struct shmsem *client, const struct wire_request *request, const char *name,
	struct timeout *timeout, struct reply *ret, struct error *err);

/* The same, attached first, and tried once more at the successor of a server that is gone. */
int client_call(struct shmsem *client, const struct wire_request *request, const char *name,
	struct timeout *timeout, struct reply *ret, struct error *err);
