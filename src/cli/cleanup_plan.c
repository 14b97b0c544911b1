#include "cli/cleanup_plan.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "exchange/reclaim.h"
#include "inventory/known.h"
#include "inventory/lease.h"
#include "inventory/sysv.h"
#include "shm/segment.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void decide(struct planned *planned, enum action action, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void decide(struct planned *planned, enum action action, const char *format, ...)
{
	va_list arguments;

	planned->action = action;
	va_start(arguments, format);
	vsnprintf(planned->reason, sizeof planned->reason, format, arguments);
	va_end(arguments);
}

/* Since it was made or changed; System V remembers its last use, too. */
static uint64_t age_of(const struct object *object)
{
	int64_t since = object->birth > object->changed ? object->birth : object->changed;
	struct timespec now;
	int64_t age;

	if (object_is_sysv(object) && object->accessed > since)
		since = object->accessed;
	clock_gettime(CLOCK_REALTIME, &now);
	age = now.tv_sec * (int64_t)NS_PER_SECOND + now.tv_nsec - since;
	return age > 0 ? (uint64_t)age : 0;
}

static bool space_wanted(const struct object *object, const struct cleanup_rules *rules)
{
	for (size_t i = 0; i < rules->space_count; i++)
		if (!strcmp(rules->spaces[i].text, object->space))
			return true;
	return !rules->space_count;
}

static bool matches(const struct object *object, const char *glob)
{
	return fnmatch(glob + (*glob == '/'), object->name, FNM_EXTMATCH) == 0 ||
	       (object->space && fnmatch(glob, object->space, FNM_EXTMATCH) == 0);
}

static bool is_foreign_wanted(const struct object *object, const struct cleanup_rules *rules)
{
	if (object->type == OBJECT_DELETED || object->type == OBJECT_MOUNT)
		return false;
	if (rules->known && known_program(object))
		return true;
	for (size_t i = 0; i < rules->foreign_count; i++)
		if (matches(object, rules->foreign[i]))
			return true;
	return false;
}

static void decide_foreign(
	const struct object *object, const struct cleanup_rules *rules, struct planned *planned)
{
	char least[SIZE_TEXT_SIZE];

	if (object->state == OBJECT_LIVE || object->type == OBJECT_OTHER)
		decide(planned, ACTION_KEPT, "%s", object->why);
	else if (object->type == OBJECT_FILE)
		decide(planned, ACTION_KEPT, "%s; rm(1) removes it", object->why);
	else if (object->elsewhere)
		decide(planned, ACTION_KEPT, "%s; only from there it can be removed", object->why);
	else if (object->state == OBJECT_UNKNOWN && !rules->force)
		decide(planned, ACTION_KEPT, "%s; --force would remove it", object->why);
	else if (age_of(object) < rules->min_age)
		decide(planned, ACTION_KEPT, "younger than %s (--min-age)",
			format_duration(rules->min_age, least));
	else
		planned->action = ACTION_REMOVE;
}

void cleanup_decide(
	const struct objects *objects, const struct cleanup_rules *rules, struct planned *actions)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];
		struct planned *planned = &actions[i];

		*planned = (struct planned){0};
		if (object_is_sysv(object)) {
			if (rules->sysv)
				decide_foreign(object, rules, planned);
		} else if (!object->native) {
			if (is_foreign_wanted(object, rules))
				decide_foreign(object, rules, planned);
		} else if (!space_wanted(object, rules) ||
			   (object->state == OBJECT_LIVE && !rules->space_count)) {
			continue;
		} else if (object->state != OBJECT_STALE) {
			decide(planned, ACTION_KEPT, "%s", object->why);
		} else {
			planned->action = ACTION_REMOVE;
		}
	}
}

/* What reclaim_namespace tells, put beside the objects of that namespace. */
struct report {
	const struct objects *objects;
	struct planned *actions;
	size_t start, end;
};

static const char *refusal_text(int os_error, uid_t owner)
{
	if ((os_error == EPERM || os_error == EACCES) && owner != geteuid())
		return "it belongs to another user, and the folder is sticky";
	return strerrordesc_np(os_error);
}

static void note_reclaimed(void *context, const char *file, uint64_t bytes, int failed)
{
	struct report *report = context;

	(void)bytes;
	for (size_t i = report->start; i < report->end; i++) {
		const struct object *object = &report->objects->items[i];

		if (strcmp(object->name, file) != 0)
			continue;
		if (failed)
			decide(&report->actions[i], ACTION_REFUSED, "%s",
				refusal_text(failed, object->uid));
		else
			report->actions[i].action = ACTION_REMOVED;
	}
}

/* The objects from `start` on that are of one namespace: the index after them. */
static size_t space_end(const struct objects *objects, size_t start)
{
	const struct object *first = &objects->items[start];
	size_t end = start + 1;

	while (end < objects->count && objects->items[end].space &&
		!strcmp(objects->items[end].space, first->space))
		end++;
	return end;
}

static void reclaim_own(struct report *report)
{
	const struct reclaim reclaim = {
		.any_owner = geteuid() == 0, .tell = note_reclaimed, .context = report};
	struct error err = {0};
	struct name_space space;
	int status;

	snprintf(space.text, sizeof space.text, "%s", report->objects->items[report->start].space);
	status = reclaim_namespace(&space, &reclaim, &err);

	for (size_t i = report->start; i < report->end; i++) {
		struct planned *planned = &report->actions[i];

		if (planned->action != ACTION_REMOVE)
			continue;
		if (!status)
			planned->action = ACTION_GONE;
		else if (err.os_error == EAGAIN)
			decide(planned, ACTION_KEPT, "a server has started meanwhile");
		else
			decide(planned, ACTION_REFUSED, "%s", err.text);
	}
}

static void remove_file(
	const struct object *object, const struct holders *holders, struct planned *planned)
{
	const struct holder *holder;
	AUTO_CLOSE int lease = lease_open(object->name, object->file);
	int failed = lease < 0 ? errno : 0;

	if (failed == EAGAIN || holders_find(holders, HOLDER_OF_FILE, object->file, &holder)) {
		decide(planned, ACTION_KEPT, "in use");
		return;
	}
	/* No lease to be had: then the processes that can be seen must do. */
	if (failed != ENOENT && failed != ESTALE)
		failed = shm_file_remove(object->name, object->file);
	if (failed == ENOENT || failed == ESTALE)
		planned->action = ACTION_GONE;
	else if (failed)
		decide(planned, ACTION_REFUSED, "%s", refusal_text(failed, object->uid));
	else
		planned->action = ACTION_REMOVED;
}

static void remove_sysv(const struct object *object, struct planned *planned)
{
	int failed = sysv_remove(object);

	if (failed == EBUSY)
		decide(planned, ACTION_KEPT, "in use");
	else if (failed == EINVAL || failed == EIDRM)
		planned->action = ACTION_GONE;
	else if (failed == EPERM || failed == EACCES)
		decide(planned, ACTION_REFUSED, "it belongs to another user");
	else if (failed)
		decide(planned, ACTION_REFUSED, "%s", strerrordesc_np(failed));
	else
		planned->action = ACTION_REMOVED;
}

int cleanup_do(const struct objects *objects, struct planned *actions, struct error *err)
{
	struct holders holders = HOLDERS_NONE;
	bool looked = false;

	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];

		if (actions[i].action != ACTION_REMOVE)
			continue;
		if (object_is_sysv(object)) {
			remove_sysv(object, &actions[i]);
			continue;
		}
		if (object->native) {
			struct report report = {.objects = objects,
				.actions = actions,
				.start = i,
				.end = space_end(objects, i)};

			reclaim_own(&report);
			continue;
		}
		/* Who has opened one since the first look shows up in a second. */
		if (!looked) {
			int status = holders_read(0, &holders, err);

			if (status)
				return status;
			looked = true;
		}
		remove_file(object, &holders, &actions[i]);
	}
	holders_release(&holders);
	return STATUS_OK;
}
