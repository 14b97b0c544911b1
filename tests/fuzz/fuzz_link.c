/*
 * What a decoder says, as the server hears it: the messages wait in the socket when the server
 * begins to talk, and a decoder that says no more is late at once.
 */
#include "fuzz.h"

#include "base/text.h"
#include "server/link.h"
#include "server/sandbox.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ROOM (UINT64_C(1) << 20)

/* No talk takes more; the one beyond is left over. */
#define MESSAGES_MAX 3

enum choice {
	CHOOSE_PROBE = 1 << 0,
	CHOOSE_ROOM = 1 << 1,    /* some is offered at once */
	CHOOSE_END = 1 << 2,     /* the decoder ends after its messages */
	CHOOSE_NO_ROOM = 1 << 3, /* there is none for who needs it */
	CHOOSE_SIGNAL = 4,       /* the bits from here on: what it died of; 0: an exit */
};

static struct decoder decoder;
static int near;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int pair[2];

	(void)argc;
	(void)argv;
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	decoder = DECODER_NONE;
	decoder.setup.reserve = ROOM;
	decoder.socket = pair[0];
	near = pair[1];
	return 0;
}

/* Message after message; the last may be a short one. An empty packet reads like a closed socket.
 */
static void send_all(const uint8_t *data, size_t size, bool end)
{
	const size_t whole = sizeof(struct link_reply);

	for (int i = 0; i < MESSAGES_MAX && size; i++) {
		size_t length = size < whole ? size : whole;

		FUZZ_CHECK(send(near, data, length, MSG_DONTWAIT) == (ssize_t)length);
		data += length;
		size -= length;
	}
	if (end)
		FUZZ_CHECK(send(near, "", 0, MSG_DONTWAIT) == 0);
}

static void empty(int socket)
{
	static struct link_reply left;

	while (recv(socket, &left, sizeof left, MSG_DONTWAIT) >= 0)
		;
}

static void check_failure(int status, const struct error *err)
{
	FUZZ_CHECK(status == err->status && error_status_valid((uint32_t)status));
	FUZZ_CHECK(err->text[0] && text_is_plain(err->text, strlen(err->text)));
}

/* The first byte chooses what is asked, and how the decoder ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct link_reply reply;
	const struct image_limits limits = {.pixels = 1 << 20, .bytes = 1 << 21, .side = 4096};
	int choice = size ? data[0] : 0, signal = choice >> CHOOSE_SIGNAL, status;
	const siginfo_t end = {.si_code = signal ? CLD_KILLED : CLD_EXITED, .si_status = signal};
	bool none = choice & CHOOSE_NO_ROOM;
	struct link_job job = {.kind = choice & CHOOSE_PROBE ? LINK_PROBE : LINK_DECODE,
		.number = 1,
		.limits = limits,
		.length = choice & CHOOSE_ROOM ? ROOM / 2 : 0};
	enum reply_outcome outcome;
	struct decoded decoded;
	struct error err = {0};

	if (size)
		send_all(data + 1, size - 1, choice & CHOOSE_END);
	status = STATUS_OK;
	FUZZ_CHECK(link_ask(&decoder, &job, -1, 0));
	outcome = link_receive(&decoder, &reply, &decoded, &status, &err);
	if (outcome == REPLY_NEED) {
		none |= decoded.total > ROOM;
		link_give_room(&decoder, 0, none ? 0 : ROOM);
		outcome = link_receive(&decoder, &reply, &decoded, &status, &err);
		/* The job has failed, whatever is said now. */
		if (none && outcome == REPLY_COMPLETE)
			status = error_set(&err, STATUS_TRY_AGAIN, "no room");
	}
	FUZZ_CHECK(outcome != REPLY_NEED);
	if (outcome == REPLY_NONE)
		outcome = REPLY_LATE;
	empty(near);
	empty(decoder.socket);
	if (status) {
		check_failure(status, &err);
		return 0;
	}
	if (outcome != REPLY_COMPLETE) {
		status = link_explain(outcome, &end, &reply, 0, &err);
		check_failure(status, &err);
		return 0;
	}
	FUZZ_CHECK(decoded.info.bytes <= limits.bytes && decoded.info.width <= limits.side);
	FUZZ_CHECK(job.kind == LINK_PROBE || decoded.total <= ROOM);
	FUZZ_CHECK(text_is_plain(decoded.warning, strlen(decoded.warning)));
	return 0;
}
