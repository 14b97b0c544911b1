#include "exchange/serving.h"

#include "shm/semaphore.h"

/* Of a wait, after which the caller looks after other things. */
#define WAIT_SLICE_NS (100 * NS_PER_MS)

/* Waits without a request after which they get longer. */
#define FRUITLESS_MAX 10

void serving_init(struct serving *serving, const struct server_objects *objects,
	const struct serving_calls *calls, void *context, const atomic_bool *stopping,
	uint64_t quiet_ns)
{
	*serving = (struct serving){
		.objects = objects, .calls = calls, .context = context, .quiet_ns = quiet_ns};
	wait_init(&serving->wait, objects->request, stopping);
}

/* ---- requests ---- */

static bool take_from(void *context, unsigned seat)
{
	struct serving *serving = context;
	const struct head *head = &serving->objects->head;
	uint64_t sequence;

	if (!request_pending(head, seat, &sequence))
		return false;
	serving->found = serving->calls->place(serving->context, seat);
	request_read(head, seat, sequence, serving->found);
	serving->last = seat;
	return true;
}

static bool look(void *context, enum wait_where where)
{
	struct serving *serving = context;

	if (where == WAIT_LAST)
		return take_from(serving, serving->last);
	return request_scan(
		&serving->objects->head, serving->last, where == WAIT_ALL, take_from, serving);
}

struct seat_request *serving_take(struct serving *serving)
{
	return look(serving, WAIT_ALL) ? serving->found : NULL;
}

struct seat_request *serving_await(struct serving *serving, uint64_t deadline)
{
	struct timeout timeout = {.deadline = deadline};
	unsigned fruitless = atomic_load(&serving->fruitless);
	uint64_t slice = fruitless < FRUITLESS_MAX ? WAIT_SLICE_NS : serving->quiet_ns;

	if (wait_for(&serving->wait, &timeout, slice, NULL, look, serving) != WAIT_FOUND) {
		atomic_store(&serving->fruitless, fruitless + 1);
		return NULL;
	}
	if (fruitless)
		atomic_store(&serving->fruitless, 0);
	return serving->found;
}

bool serving_quiet(const struct serving *serving)
{
	return atomic_load(&serving->fruitless) >= FRUITLESS_MAX;
}

void serving_remind(const struct serving *serving)
{
	if (!request_note_pending(&serving->objects->head))
		return;
	semaphore_post(serving->objects->request);
	semaphore_wake(serving->objects->request);
}

static void serve_prefetch(struct serving *serving, struct seat_request *received)
{
	struct error refused;

	if (serving->calls->prefetch) {
		serving->calls->prefetch(serving->context, received);
		return;
	}
	error_set(&refused, STATUS_USAGE, "this server cannot prefetch");
	serving_answer_failure(serving, received, &refused);
}

void serving_serve(struct serving *serving, struct seat_request *received)
{
	struct error refused;

	wire_count(&head_seat_counters(&serving->objects->head, received->seat)->requests, 1);
	if (request_check(received, &refused)) {
		serving_answer_failure(serving, received, &refused);
		return;
	}
	switch ((enum wire_operation)received->request.operation) {
	case WIRE_PING:
		serving_answer_text(serving, received, "", 0);
		break;
	case WIRE_GET:
	case WIRE_INFO:
		serving->calls->image(serving->context, received);
		break;
	case WIRE_NAMES:
		serving->calls->names(serving->context, received);
		break;
	case WIRE_PREFETCH:
		serve_prefetch(serving, received);
		break;
	}
}

void serving_refuse_all(struct serving *serving, const struct error *failure)
{
	for (unsigned seat = 0; seat < serving->objects->head.seats; seat++)
		if (take_from(serving, seat))
			serving_answer_failure(serving, serving->found, failure);
}

/* ---- answers ---- */

bool serving_complete(
	const struct serving *serving, const struct seat_request *received, uint64_t image)
{
	bool wanted = request_complete(&serving->objects->head, received, image);

	if (wanted)
		semaphore_post(serving->objects->responses[received->seat]);
	if (serving->calls->answered)
		serving->calls->answered(serving->context);
	return wanted;
}

static void put_text(const struct head *head, unsigned seat, const char *text, size_t length)
{
	struct wire_answer answer = {0};

	request_put_text(head_seat(head, seat), &answer, text, length);
	request_put_answer(head, seat, (const uint64_t[4]){0}, &answer);
}

void serving_answer_text(const struct serving *serving, const struct seat_request *received,
	const char *text, size_t length)
{
	static const struct wire_answer nothing;
	const struct head *head = &serving->objects->head;

	if (length)
		put_text(head, received->seat, text, length);
	else
		request_put_answer(head, received->seat, (const uint64_t[4]){0}, &nothing);
	serving_complete(serving, received, 0);
}

void serving_answer_failure(const struct serving *serving, const struct seat_request *received,
	const struct error *failure)
{
	request_put_failure(&serving->objects->head, received->seat, failure);
	serving_complete(serving, received, 0);
}
