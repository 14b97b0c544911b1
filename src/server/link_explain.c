/* Why a decoder gave no answer, in words for the client that asked for the image. */
#include "server/link.h"

#include "base/number.h"
#include "base/text.h"
#include "server/sandbox.h"

#include <string.h>

/* Why the process went, as an outcome of the image it was at. */
static int explain_signal(int signal, struct error *err)
{
	const char *name = sigabbrev_np(signal);

	switch (signal) {
	case SIGSEGV:
	case SIGBUS:
	case SIGABRT:
	case SIGILL:
	case SIGFPE:
	case SIGSYS:
	case SIGTRAP:
		return error_set(err, STATUS_BAD_DATA, "its decoder died of SIG%s", name);
	case SIGXCPU:
		return error_set(
			err, STATUS_BAD_DATA, "its decoder used up its processor time (SIGXCPU)");
	case SIGKILL:
		return error_set(err, STATUS_TRY_AGAIN,
			"its decoder was killed by SIGKILL, which is also what the kernel does "
			"when memory runs out");
	default:
		return error_set(err, STATUS_TRY_AGAIN, "its decoder was killed by SIG%s",
			name ? name : "?");
	}
}

static int explain_late(uint64_t timeout_ns, struct error *err)
{
	char limit[SIZE_TEXT_SIZE];

	return error_set(err, STATUS_BAD_DATA,
		"decoding takes longer than %s (serve --decode-timeout)",
		format_duration(timeout_ns, limit));
}

/* What a decoder says of its own or its child's end. */
static int explain_reply(const struct link_reply *reply, uint64_t timeout_ns, struct error *err)
{
	char name[SANDBOX_CALL_NAME_SIZE];

	if (reply->call >= 0)
		return error_set(err, STATUS_BAD_DATA,
			"its decoder died of SIGSYS: it made the system call %s, which is refused",
			sandbox_call_name(reply->call, name));
	if (reply->signal < 0)
		return explain_late(timeout_ns, err);
	if (reply->signal)
		return explain_signal(reply->signal, err);
	return error_set(err, STATUS_BAD_DATA, "its decoder ended without an answer");
}

/* It could not begin: our own words, and no fault of the image. */
static int explain_unfit(const struct link_reply *reply, struct error *err)
{
	char shown[ERROR_TEXT_SIZE];

	return error_set(err,
		reply->status == STATUS_TRY_AGAIN ? STATUS_TRY_AGAIN : STATUS_INTERNAL,
		"no decoder: %s",
		text_escape(reply->text, strlen(reply->text), shown, sizeof shown));
}

int link_explain(enum reply_outcome outcome, const siginfo_t *end, const struct link_reply *reply,
	uint64_t timeout_ns, struct error *err)
{
	switch (outcome) {
	case REPLY_ABANDONED:
		return error_set(err, STATUS_UNAVAILABLE, "the server is stopping");
	case REPLY_LATE:
		return explain_late(timeout_ns, err);
	case REPLY_DIED:
		return explain_reply(reply, timeout_ns, err);
	case REPLY_UNFIT:
		return explain_unfit(reply, err);
	case REPLY_DEAD:
		if (end->si_code != CLD_EXITED)
			return explain_signal(end->si_status, err);
		return error_set(
			err, STATUS_TRY_AGAIN, "its decoder ended with status %d", end->si_status);
	case REPLY_NONE:
	case REPLY_NEED:
	case REPLY_COMPLETE:
	case REPLY_WRONG:
		break;
	}
	return error_set(err, STATUS_BAD_DATA, "its decoder answered out of turn and was ended");
}
