#include "bench/transport.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "bench/responder.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Round trips that are compared byte for byte before anything is timed, each with a payload of its
 * own. */
#define CHECKS 3

struct transport_pair {
	struct channel channel;
	int control;  /* orders go out, an error may come back */
	pid_t child;  /* 0: none */
	uint64_t sum; /* of the payload that the responder was last told to send */
	bool exposed; /* there is something for hide or remove */
};

/* An error of the requester's is often that of the responder, which may have said what it was. */
static int blame(struct transport_pair *pair, int status, struct error *err)
{
	struct error said = {0};

	if (!watchdog_stopped() && pair->control >= 0 &&
		recv(pair->control, &said, sizeof said, MSG_DONTWAIT) == sizeof said &&
		said.status) {
		said.text[sizeof said.text - 1] = '\0';
		status = error_set(err, said.status, "the responder: %s", said.text);
	} else if (pair->child && !watchdog_stopped()) {
		status = watchdog_explain(&pair->channel.watchdog, status, err);
	}
	return error_prefix(err, status, "%s", pair->channel.transport->name);
}

/* The responder has joined, or says why not. */
static int await_ready(struct transport_pair *pair, struct error *err)
{
	struct error said = {0};
	int status = channel_read(&pair->channel, pair->control, &said, sizeof said, err);

	if (!status && said.status) {
		said.text[sizeof said.text - 1] = '\0';
		return error_set(err, said.status, "the responder: %s", said.text);
	}
	return status;
}

static void hide_pair(struct transport_pair *pair)
{
	if (pair->exposed && pair->channel.transport->hide)
		pair->channel.transport->hide(&pair->channel);
}

static int open_pair(struct transport_pair *pair, int responder_cpu, struct error *err)
{
	struct channel *channel = &pair->channel;
	pid_t parent = getpid();
	int ends[2], status;

	channel->state = calloc(1, channel->transport->state_size);
	if (!channel->state)
		return error_os(err, ENOMEM, "no room for the mechanism");
	pair->exposed = true;
	status = channel->transport->create(channel, err);
	if (status)
		return status;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return error_os(err, errno, "socketpair");
	pair->control = ends[0];
	pair->child = fork();
	if (pair->child < 0) {
		pair->child = 0;
		close(ends[1]);
		return error_os(err, errno, "fork");
	}
	if (!pair->child)
		responder_run(channel, ends[1], parent, responder_cpu, err);
	close(ends[1]);
	channel->watchdog = (struct watchdog){.peer = pair->child, .peer_is_child = true};
	status = channel->transport->join(channel, err);
	if (!status)
		status = await_ready(pair, err);
	hide_pair(pair);
	return status;
}

static void close_pair(struct transport_pair *pair)
{
	const struct transport *transport = pair->channel.transport;

	if (pair->child) {
		kill(pair->child, SIGKILL);
		while (waitpid(pair->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	hide_pair(pair);
	if (pair->channel.state)
		transport->leave(&pair->channel);
	if (pair->exposed && transport->remove)
		transport->remove(&pair->channel);
	cleanup_fd(&pair->control);
	free(pair->channel.state);
}

static int exchange(struct transport_pair *pair, uint64_t operations, struct error *err)
{
	struct channel *channel = &pair->channel;

	for (uint64_t i = 0; i < operations; i++) {
		int status;

		channel->word++;
		channel->sum = 0;
		channel->consumed = 0;
		status = channel->transport->ask(channel, err);
		watchdog_progress(&channel->watchdog);
		if (status)
			return blame(pair, status, err);
		if (channel->consumed != channel->size || channel->wrong ||
			(!channel->expected && channel->sum != pair->sum))
			return error_set(err, STATUS_BAD_DATA,
				"%s: request %llu was answered with the wrong bytes",
				channel->transport->name, (unsigned long long)channel->word);
	}
	return STATUS_OK;
}

static int give_order(
	struct transport_pair *pair, uint64_t operations, uint64_t seed, struct error *err)
{
	const struct responder_order order = {.operations = operations, .seed = seed};
	int status = channel_write(&pair->channel, pair->control, &order, sizeof order, err);

	return status ? blame(pair, status, err) : STATUS_OK;
}

static int prepare_pair(void *context, uint64_t operations, struct error *err)
{
	struct transport_pair *pair = context;
	int status = give_order(pair, operations + 1, CHECKS, err);

	/* The first round trip waits for the responder to wake up and read its order. */
	return status ? status : exchange(pair, 1, err);
}

static int run_pair(void *context, uint64_t operations, struct error *err)
{
	return exchange(context, operations, err);
}

static int fill_expected(
	const struct channel *channel, uint8_t *expected, uint64_t seed, struct error *err)
{
	const uint8_t *made;
	int status;

	if (!channel->make) {
		payload_fill(expected, channel->size, seed);
		return STATUS_OK;
	}
	status = channel->make(channel->make_context, channel->size, &made, err);
	if (!status)
		memcpy(expected, made, channel->size);
	return status;
}

/* A round trip that is compared byte for byte. */
static int check_once(
	struct transport_pair *pair, uint8_t *expected, uint64_t seed, struct error *err)
{
	int status = fill_expected(&pair->channel, expected, seed, err);

	if (status)
		return status;
	status = give_order(pair, 1, seed, err);
	if (status)
		return status;
	pair->channel.expected = expected;
	status = exchange(pair, 1, err);
	pair->channel.expected = NULL;
	return status;
}

/* Compares a few round trips, each with a payload of its own. */
static int check_pair(struct transport_pair *pair, struct error *err)
{
	size_t size = pair->channel.size;
	AUTO_FREE uint8_t *expected = malloc(size);

	if (!expected)
		return error_os(err, ENOMEM, "no room for the payload");
	for (uint64_t seed = 1; seed <= CHECKS; seed++) {
		int status = check_once(pair, expected, seed, err);

		if (status)
			return status;
	}
	pair->sum = payload_sum(expected, size);
	return STATUS_OK;
}

struct transport_pair *transport_pair_free(struct transport_pair *pair)
{
	if (!pair)
		return NULL;
	close_pair(pair);
	free(pair->channel.buffer);
	free(pair);
	return NULL;
}

static int new_pair(const struct channel *plan, int responder_cpu, struct transport_pair **ret,
	struct error *err)
{
	AUTO_TRANSPORT_PAIR struct transport_pair *pair = calloc(1, sizeof *pair);
	struct channel *channel;
	int status;

	if (!pair)
		return error_os(err, ENOMEM, "no room for the payload");
	channel = &pair->channel;
	pair->control = -1;
	*channel = *plan;
	channel->requester = true;
	channel->buffer = malloc(plan->size + BUFFER_SLACK);
	if (!channel->buffer)
		return error_os(err, ENOMEM, "no room for the payload");
	snprintf(channel->name, sizeof channel->name, "shmsem-bench-%d-%llx", (int)getpid(),
		(unsigned long long)clock_now());
	status = open_pair(pair, responder_cpu, err);
	if (status)
		return blame(pair, status, err);
	status = check_pair(pair, err);
	if (status)
		return status;
	*ret = steal_pointer(&pair);
	return STATUS_OK;
}

int transport_pair_new(const struct transport *transport, size_t size, int responder_cpu,
	struct transport_pair **ret, struct error *err)
{
	const struct channel plan = {.transport = transport, .size = size};

	return new_pair(&plan, responder_cpu, ret, err);
}

int transport_pair_new_making(size_t size, int responder_cpu, payload_make *make, void *context,
	struct transport_pair **ret, struct error *err)
{
	const struct channel plan = {.transport = transport_find("classic"),
		.size = size,
		.make = make,
		.make_context = context};

	return new_pair(&plan, responder_cpu, ret, err);
}

struct bench_subject transport_pair_subject(struct transport_pair *pair)
{
	return (struct bench_subject){.name = pair->channel.transport->name,
		.context = pair,
		.prepare = prepare_pair,
		.run = run_pair};
}

/* Queues that take only so much at once send the payload in pieces: the reader must know. */
static void note_pieces(
	struct bench_result *rows, const struct transport *const *chosen, size_t count, size_t size)
{
	for (size_t i = 0; i < count; i++) {
		char text[SIZE_TEXT_SIZE];

		if (chosen[i]->piece && size > chosen[i]->piece)
			snprintf(rows[i].note, sizeof rows[i].note, "in pieces of %s",
				format_size(chosen[i]->piece, text));
	}
}

static int measure_pairs(struct bench_session *session, const struct transport *const *chosen,
	struct transport_pair *const *pairs, size_t count, size_t size, struct error *err)
{
	AUTO_FREE struct bench_subject *subjects = calloc(count, sizeof *subjects);
	struct bench_result *rows;
	char group[SIZE_TEXT_SIZE];
	int status;

	if (!subjects)
		return error_os(err, ENOMEM, "cannot measure");
	for (size_t i = 0; i < count; i++)
		subjects[i] = transport_pair_subject(pairs[i]);
	status = session_measure(
		session, "transport", format_size(size, group), size, subjects, count, &rows, err);
	if (status)
		return status;
	note_pieces(rows, chosen, count, size);
	return STATUS_OK;
}

int transport_measure(struct bench_session *session, const struct transport *const *chosen,
	size_t count, size_t size, struct error *err)
{
	AUTO_FREE struct transport_pair **pairs = calloc(count, sizeof *pairs);
	int cpu = session->report.machine.responder_cpu, status = STATUS_OK;

	if (!pairs)
		return error_os(err, ENOMEM, "cannot measure");
	for (size_t i = 0; !status && i < count; i++)
		status = transport_pair_new(chosen[i], size, cpu, &pairs[i], err);
	if (!status)
		status = measure_pairs(session, chosen, pairs, count, size, err);
	for (size_t i = 0; i < count; i++)
		transport_pair_free(pairs[i]);
	return status;
}
