/* libshmsem: a client from its beginning to its end, and the connection that it has or makes. */
#include "client/client.h"

#include "base/number.h"
#include "base/process.h"
#include "client/error.h"
#include "client/lookup.h"
#include "config.h"
#include "shm/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_NS (30 * NS_PER_SECOND)
#define WAIT_POLL_NS       (10 * NS_PER_MS)

/* How long the successor of a server that is gone may take to appear, where the options name no longer
 * time: a call that waits for a server that died learns of it within 250 ms. */
#define SUCCESSOR_NS (100 * NS_PER_MS)

static void tell(const struct shmsem *client, enum shmsem_event event)
{
	char message[ERROR_TEXT_SIZE];

	if (!client->log)
		return;
	snprintf(message, sizeof message, "%s the server of '%s'",
		event == SHMSEM_LOST ? "lost" : "connected to", client->space.text);
	client->log(client->log_data, event, message);
}

static void tell_queued(void *data, const char *message)
{
	const struct shmsem *client = data;

	client->log(client->log_data, SHMSEM_QUEUED, message);
}

static int no_server(const struct shmsem *client, const struct error *cause, struct error *err)
{
	if (cause->os_error == EAGAIN) /* there is one */
		return error_set(err, STATUS_UNAVAILABLE,
			"namespace '%s': %s; ask again, or wait for it (--wait)",
			client->space.text, cause->text);
	return error_set(err, STATUS_UNAVAILABLE,
		"namespace '%s': %s; start one with 'shmsem serve -N %s DIR'", client->space.text,
		cause->text, client->space.text);
}

/* Nobody wonders about a wait that is not longer than for a successor. */
static void tell_awaiting(const struct shmsem *client, const struct error *cause)
{
	char message[ERROR_TEXT_SIZE + 64], time[SIZE_TEXT_SIZE];
	struct error why;

	if (!client->log || client->wait_ns <= SUCCESSOR_NS)
		return;
	no_server(client, cause, &why);
	snprintf(message, sizeof message, "waiting for a server to appear, at most %s: %s",
		format_duration(client->wait_ns, time), why.text);
	client->log(client->log_data, SHMSEM_AWAITING, message);
}

/*
 * Connects, waiting for a server to appear until `appear`, and for one that has appeared and is not
 * ready yet until `ready`; never to the one that was lost.
 */
static int await_server(struct shmsem *client, uint64_t appear, uint64_t ready,
	struct timeout *timeout, struct error *err)
{
	const struct timespec poll = clock_timespec(WAIT_POLL_NS);
	const struct file_id *lost = client->lost ? &client->lost_head : NULL;

	for (bool told = false;; told = true) {
		int status = connection_open(&client->space, &client->accepted,
			client->flags & SHMSEM_GUARD_SIGBUS, timeout_deadline(timeout),
			&client->waiting, lost, &client->connection, err);

		if (!status) {
			lookup_open(client->connection);
			tell(client, SHMSEM_CONNECTED);
		}
		if (status != STATUS_UNAVAILABLE)
			return status;
		if (clock_now() >= (err->os_error == EAGAIN ? ready : appear))
			return status;
		if (waiting_cancelled(&client->waiting))
			return error_cancelled(err, "cancelled while waiting for a server");
		if (!told)
			tell_awaiting(client, err);
		waiting_begin(&client->waiting);
		nanosleep(&poll, NULL);
		if (waiting_end(&client->waiting))
			return error_cancelled(err, "interrupted while waiting for a server");
	}
}

int client_attach(
	struct shmsem *client, uint64_t appear, struct timeout *timeout, struct error *err)
{
	struct error cause;
	int status;

	if (client->owner != process_id())
		return error_set(err, STATUS_USAGE,
			"this client was made before fork(); connect anew in the child");
	if (client->connection)
		return STATUS_OK;
	client->lost = false;
	status = await_server(client, appear, appear, timeout, &cause);
	if (status == STATUS_UNAVAILABLE)
		return no_server(client, &cause, err);
	if (status)
		*err = cause;
	return status;
}

void client_detach(struct shmsem *client, bool lost)
{
	client->lost = lost && client->connection;
	if (client->lost)
		client->lost_head = client->connection->head.segment.id;
	if (client->connection)
		connection_leave(client->connection);
	client->connection = NULL;
}

bool client_reattach(struct shmsem *client, struct timeout *timeout, struct error *err)
{
	uint64_t wait = client->wait_ns > SUCCESSOR_NS ? client->wait_ns : SUCCESSOR_NS;
	uint64_t deadline = timeout_deadline(timeout), appear = deadline_after(wait);
	struct error cause;
	int status;

	if (!client->lost)
		return false;
	status = await_server(
		client, appear < deadline ? appear : deadline, deadline, timeout, &cause);
	client->lost = false;
	if (status && status != STATUS_UNAVAILABLE)
		*err = cause;
	return !status;
}

#define FLAGS_KNOWN ((unsigned)(SHMSEM_GUARD_SIGBUS | SHMSEM_SERVER_USER | SHMSEM_ANY_SERVER))

static int check_options(const struct shmsem_connect_options *options, struct error *err)
{
	bool user = options->flags & SHMSEM_SERVER_USER;

	if (options->flags & ~FLAGS_KNOWN || options->reserved[0])
		return error_set(err, STATUS_USAGE,
			"the options of the connection have flags or fields that this library does "
			"not know");
	if (user && options->flags & SHMSEM_ANY_SERVER)
		return error_set(err, STATUS_USAGE,
			"SHMSEM_SERVER_USER and SHMSEM_ANY_SERVER exclude each other");
	if (user ? options->server_user >= (uid_t)-1 : options->server_user != 0)
		return error_set(err, STATUS_USAGE, "server_user is %s",
			user ? "no uid" : "set without SHMSEM_SERVER_USER");
	return STATUS_OK;
}

/* Whose server is accepted. */
static int find_accepted(
	const struct shmsem_connect_options *options, struct server_user *ret, struct error *err)
{
	if (options->flags & SHMSEM_SERVER_USER)
		*ret = (struct server_user){.uid = (uid_t)options->server_user};
	else if (options->flags & SHMSEM_ANY_SERVER)
		*ret = SERVER_USER_ANY;
	else
		return server_user_default(ret, err);
	return STATUS_OK;
}

int shmsem_server_user(
	struct shmsem_connect_options *options, const char *user, struct shmsem_error *error)
{
	const unsigned flags = options->flags & ~(SHMSEM_SERVER_USER | SHMSEM_ANY_SERVER);
	struct server_user accepted;
	struct error err = {0};
	int status = server_user_parse(user, "", &accepted, &err);

	if (!status) {
		options->flags = flags | (accepted.any ? SHMSEM_ANY_SERVER : SHMSEM_SERVER_USER);
		options->server_user = accepted.any ? 0 : accepted.uid;
	}
	return error_export(error, &err, status);
}

static int understand_options(
	struct shmsem *client, const struct shmsem_connect_options *options, struct error *err)
{
	int status = namespace_parse(options->name_space, &client->space, err);

	if (status)
		return status;
	status = find_accepted(options, &client->accepted, err);
	if (status || !(client->flags & SHMSEM_GUARD_SIGBUS))
		return status;
	return guard_install(err);
}

int client_new(struct shmsem **ret, const struct shmsem_connect_options *options, struct error *err)
{
	static const struct shmsem_connect_options plain;
	struct shmsem *client;
	int status;

	if (!options)
		options = &plain;
	status = check_options(options, err);
	if (status)
		return status;
	client = calloc(1, sizeof *client);
	if (!client)
		return error_os(err, ENOMEM, "cannot connect");
	client->wait_ns = options->wait_ns;
	client->timeout_ns = options->timeout_ns ? options->timeout_ns : DEFAULT_TIMEOUT_NS;
	client->flags = options->flags;
	client->log = options->log;
	client->log_data = options->log_data;
	client->waiting.hook = options->wait_hook;
	client->waiting.data = options->wait_data;
	client->waiting.queued = options->log ? tell_queued : NULL;
	client->waiting.queued_data = client;
	client->owner = process_id();
	status = understand_options(client, options, err);
	if (status) {
		free(client);
		return status;
	}
	*ret = client;
	return STATUS_OK;
}

int client_connect(struct shmsem *client, struct error *err)
{
	uint64_t appear = client->wait_ns ? deadline_after(client->wait_ns) : 0;
	struct timeout timeout = {.deadline = deadline_after(client->timeout_ns)};

	if (timeout.deadline < appear)
		timeout.deadline = appear;
	return client_attach(client, appear, &timeout, err);
}

int shmsem_connect(struct shmsem **ret, const struct shmsem_connect_options *options,
	struct shmsem_error *error)
{
	struct shmsem *client = NULL;
	struct error err = {0};
	int status = client_new(&client, options, &err);

	if (!status)
		status = client_connect(client, &err);
	if (status) {
		shmsem_close(client);
		return error_export(error, &err, status);
	}
	*ret = client;
	return error_export(error, &err, SHMSEM_OK);
}

void shmsem_close(struct shmsem *client)
{
	if (!client)
		return;
	client_detach(client, false);
	free(client);
}

int client_call_once(struct shmsem *client, const struct wire_request *request, const char *name,
	struct timeout *timeout, struct reply *ret, struct error *err)
{
	int status = connection_call(
		client->connection, request, name, timeout, &client->waiting, ret, err);

	if (status != STATUS_UNAVAILABLE && !connection_damaged(client->connection))
		return status;
	tell(client, SHMSEM_LOST);
	client_detach(client, status == STATUS_UNAVAILABLE);
	return status;
}

int client_call(struct shmsem *client, const struct wire_request *request, const char *name,
	struct timeout *timeout, struct reply *ret, struct error *err)
{
	int status = client_attach(client, 0, timeout, err);

	if (status)
		return status;
	status = client_call_once(client, request, name, timeout, ret, err);
	if (status != STATUS_UNAVAILABLE || !client_reattach(client, timeout, err))
		return status;
	return client_call_once(client, request, name, timeout, ret, err);
}

void shmsem_cancel(struct shmsem *client)
{
	atomic_store(&client->waiting.cancelled, true);
}

const char *shmsem_namespace(const struct shmsem *client)
{
	return client->space.text;
}

const char *shmsem_version(void)
{
	return SHMSEM_VERSION;
}
