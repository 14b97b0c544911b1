/*
 * One request to the server, from the seat's page and back: written, waited for, copied.
 */
#include "client/connection.h"

#include "base/clock.h"
#include "base/text.h"
#include "shm/guard.h"
#include "shm/semaphore.h"

#include <string.h>

/* How long to wait before looking whether the server lives: at first, and then. */
#define FIRST_SLICE_NS (20 * NS_PER_MS)
#define SLICE_NS       (100 * NS_PER_MS)

/* Requests after which the tokens of answers that were found by spinning are taken away. */
#define DRAIN_EVERY 1024

/* Whether waiting can still lead to an answer. */
static int check_wait(
	struct connection *connection, const struct wire_seat *page, struct error *err)
{
	uint64_t state_word = atomic_load(&page->state_word);

	if (guard_hit(connection->head.guard))
		return error_set(
			err, STATUS_BAD_DATA, "the header segment was truncated while we waited");
	if (WIRE_SEQUENCE(state_word) != connection->sequence ||
		WIRE_STATE(state_word) == WIRE_IDLE || WIRE_STATE(state_word) > WIRE_ANSWERED) {
		connection->lost = true;
		return error_set(
			err, STATUS_BAD_DATA, "the header segment was overwritten while we waited");
	}
	if (!head_server_alive(&connection->head))
		return error_set(err, STATUS_UNAVAILABLE, "the server died while we waited");
	return STATUS_OK;
}

/* The answer to look for in a page. */
struct expected {
	const struct wire_seat *page;
	uint64_t taken, answered; /* state words */
	struct wait *wait;
};

static bool look_for_answer(void *context, enum wait_where where)
{
	const struct expected *expected = context;
	uint64_t state_word = atomic_load_explicit(
		&expected->page->state_word, memory_order_acquire);

	(void)where;
	/* It is being decoded, which needs the processor more. */
	if (state_word == expected->taken)
		expected->wait->distant = true;
	return state_word == expected->answered;
}

/* Waits until the seat's state word says ANSWERED for this request. */
static int await_answer(struct connection *connection, struct wire_seat *page,
	struct timeout *timeout, struct waiting *waiting, struct error *err)
{
	struct expected expected = {.page = page,
		.taken = WIRE_STATE_WORD(connection->sequence, WIRE_TAKEN),
		.answered = WIRE_STATE_WORD(connection->sequence, WIRE_ANSWERED),
		.wait = &connection->wait};

	for (bool first = true;; first = false) {
		int status;

		switch (wait_for(&connection->wait, timeout, first ? FIRST_SLICE_NS : SLICE_NS,
			waiting, look_for_answer, &expected)) {
		case WAIT_FOUND:
			return STATUS_OK;
		case WAIT_INTERRUPTED:
			return error_cancelled(err, "interrupted");
		case WAIT_NOTHING:
			break;
		}
		status = check_wait(connection, page, err);
		if (status)
			return status;
		if (waiting_cancelled(waiting))
			return error_cancelled(err, "cancelled");
		if (clock_now() >= timeout_deadline(timeout))
			return error_set(err, STATUS_TRY_AGAIN, "timed out waiting for the server");
	}
}

static void write_request(struct connection *connection, struct wire_seat *page,
	const struct wire_request *request, const char *name, size_t length)
{
	struct wire_request whole = *request;

	whole.length = length;
	connection->sequence++;
	/* What it was last time stays where it is, in both sides' caches. */
	if (memcmp(&page->request, &whole, sizeof whole) != 0)
		memcpy(&page->request, &whole, sizeof whole);
	if (memcmp(page->name, name, length) != 0)
		memcpy(page->name, name, length);
	/* Ordered with the look at the bit that follows. */
	atomic_store(&page->state_word, WIRE_STATE_WORD(connection->sequence, WIRE_REQUESTED));
	head_note_request(&connection->head, connection->seat);
	semaphore_post(connection->request);
}

/* The answer's text, which is the other side's word: terminated, and never longer than it can be.
 */
static void copy_text(struct wire_seat *page, uint32_t length, char *ret_text)
{
	if (length > WIRE_TEXT_SIZE)
		length = WIRE_TEXT_SIZE;
	wire_copy(ret_text, page->text, length);
	ret_text[length] = '\0';
}

int connection_call(struct connection *connection, const struct wire_request *request,
	const char *name, struct timeout *timeout, struct waiting *waiting, struct reply *ret,
	struct error *err)
{
	struct wire_seat *page = head_seat(&connection->head, connection->seat);
	size_t length = strlen(name);
	char shown[ERROR_TEXT_SIZE];
	int status = name_length_check(length, err);

	if (status)
		return status;
	if (waiting_cancelled(waiting))
		return error_cancelled(err, "cancelled");
	write_request(connection, page, request, name, length);
	if (connection->sequence % DRAIN_EVERY == 0)
		wait_drain(&connection->wait);
	status = await_answer(connection, page, timeout, waiting, err);
	if (status) {
		/* Withdrawn: an answer to it finds another state word and is dropped. */
		connection->sequence++;
		atomic_store(&page->state_word, WIRE_STATE_WORD(connection->sequence, WIRE_IDLE));
		return status;
	}
	if (request->operation == WIRE_GET) {
		/* Letting go of the image will write there, maybe soon. */
		__builtin_prefetch(
			head_hold(&connection->head, connection->seat, request->hold), 1);
		/* What we hold there now may keep everything: better to have another seat. */
		if (!head_hold_whole(&connection->head, connection->seat, request->hold))
			connection->lost = true;
	}
	wire_copy(&ret->answer, &page->answer, sizeof ret->answer);
	for (int i = 0; i < 4; i++)
		ret->words[i] = atomic_load_explicit(&page->words[i], memory_order_relaxed);
	ret->text[0] = '\0';
	if (ret->answer.text_length)
		copy_text(page, ret->answer.text_length, ret->text);
	if (guard_hit(connection->head.guard))
		return error_set(err, STATUS_BAD_DATA,
			"the header segment was truncated while we read the answer");
	if (ret->answer.status == STATUS_OK)
		return STATUS_OK;
	if (!error_status_valid(ret->answer.status))
		return error_set(err, STATUS_BAD_DATA,
			"the server's answer has an unknown status, %u", ret->answer.status);
	return error_set(err, (int)ret->answer.status, "%s",
		!ret->text[0] ? "the server failed without an error message"
		: text_is_plain(ret->text, strlen(ret->text))
			? ret->text
			: text_escape(ret->text, strlen(ret->text), shown, sizeof shown));
}
