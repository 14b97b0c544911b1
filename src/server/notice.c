#include "server/notice.h"

#include "base/clock.h"

#define MINUTE_NS (60 * NS_PER_SECOND)

void notice_add(struct server *server, const struct error *notice)
{
	struct notices *notices = &server->notices;

	if (!notices->count)
		notices->minute_ends = deadline_after(MINUTE_NS);
	if (notices->count < NOTICES_MAX)
		error_copy(&notices->kept[notices->count++], notice);
	else
		notices->more++;
}

/* Says how many were only counted. */
static bool take_more(struct notices *notices, struct error *ret)
{
	if (!notices->more)
		return false;
	error_set(ret, STATUS_PARTLY, "%llu more message%s within a minute not shown",
		(unsigned long long)notices->more, notices->more == 1 ? "" : "s");
	notices->more = 0;
	return true;
}

bool server_take_notice(struct server *server, bool last, struct error *ret)
{
	struct notices *notices = &server->notices;
	bool taken = true;

	store_lock(&server->store);
	if (notices->taken < notices->count) {
		error_copy(ret, &notices->kept[notices->taken++]);
	} else if (last || (notices->count && clock_now() >= notices->minute_ends)) {
		taken = take_more(notices, ret);
		notices->taken = notices->count = 0;
	} else {
		taken = false;
	}
	store_unlock(&server->store);
	return taken;
}
