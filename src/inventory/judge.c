#include "inventory/judge.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "exchange/head_report.h"
#include "exchange/life.h"
#include "inventory/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void judge(struct object *object, enum object_state state, const char *format, ...)
{
	va_list arguments;

	free(object->why);
	if (!strchr(format, '%')) {
		object->why = strdup(format);
	} else {
		va_start(arguments, format);
		if (vasprintf(&object->why, format, arguments) < 0)
			object->why = NULL;
		va_end(arguments);
	}
	/* Nobody removes what there was no memory to judge. */
	object->state = object->why ? state : OBJECT_UNKNOWN;
}

const char *process_text(pid_t pid, const char *command, char text[PROCESS_TEXT_SIZE])
{
	char shown[4 * COMMAND_SIZE];

	snprintf(text, PROCESS_TEXT_SIZE, "%d (%s)", (int)pid,
		text_escape(command, strlen(command), shown, sizeof shown));
	return text;
}

void judge_held(struct object *object, const char *verb)
{
	const struct holder *first = object->holders;
	char process[PROCESS_TEXT_SIZE], more[32] = "";

	if (object->users > 1)
		snprintf(more, sizeof more, " and %zu more", object->users - 1);
	judge(object, OBJECT_LIVE, "%s %s%s", verb,
		process_text(first->pid, first->command, process), more);
}

/* ---- by who holds it ---- */

/* Nobody who can be seen holds it: by the kernel's word, 0 or an errno as lease_open. */
static void judge_unheld(struct object *object, int lease, const struct holders *holders)
{
	if (!lease)
		judge(object, OBJECT_STALE, STALE_WHY);
	else if (lease == EAGAIN)
		judge(object, OBJECT_LIVE, UNSEEN_WHY);
	else if (holders->blind[0])
		judge(object, OBJECT_UNKNOWN, "%s", holders->blind);
	else
		judge(object, OBJECT_STALE, STALE_WHY);
}

/* Whether the kernel is to be asked, or once more: it may have been but another one's look. */
static bool asks_kernel(const struct object *object)
{
	return object->lease < 0 || object->lease == EAGAIN;
}

/* An object that knows no locks is needed as long as a process holds it. */
static void judge_by_holders(struct object *object, const struct holders *holders)
{
	const char *verb = object->users && object->holders->mapped ? "mapped by" : "open in";

	if (object->type == OBJECT_OTHER)
		judge(object, OBJECT_UNKNOWN, "is %s", file_kind_text(object->mode));
	else if (object->type == OBJECT_DELETED && object->users)
		judge_held(object, object->holders->mapped ? "deleted, still mapped by"
							   : "deleted, still open in");
	else if (object->users)
		judge_held(object, verb);
	else if (object->type == OBJECT_FILE)
		judge(object, OBJECT_UNKNOWN, "a file in a folder, nobody seems to have it open");
	else if (!object_is_named(object))
		judge(object, OBJECT_UNKNOWN, "let go of meanwhile");
	else if (!asks_kernel(object))
		judge_unheld(object, object->lease, holders);
	else /* all together, at the end */
		object->asked = true;
}

/* ---- by the locks of a namespace ---- */

struct verdict {
	enum {
		MADE_BY_OTHERS,
		NO_PERMISSION,
		CREATOR_LIVES, /* of a classic namespace, and one of ours */
		SERVER_LIVES,
		SERVER_DEAD,
	} says;
	uint32_t pid;
	uint64_t flags;
	uid_t owner; /* a header speaks only for the objects of its own owner */
};

/* Whether it is one of ours. Where others can write HEAD, it says nothing by itself (life.h). */
static bool is_ours(const char *file, const struct stat *status, const struct head_report *report)
{
	AUTO_CLOSE int data = -1;
	struct name_space space;
	enum object_kind kind;
	unsigned index;

	if (report->native || !life_open_to_others(status) ||
		!object_file_parse(file, &space, &kind, &index))
		return report->native;
	data = life_open(&space, status, O_RDONLY);
	return data >= 0;
}

/* What HEAD says, if there is one. */
static struct verdict verdict_of_head(const struct object *head, bool *ret_classic)
{
	struct verdict verdict = {.says = MADE_BY_OTHERS, .owner = head->uid};
	struct head_report report = {0};
	struct stat status;
	AUTO_CLOSE int fd = -1;

	*ret_classic = false;
	if (head->type == OBJECT_OTHER || head->kind != OBJECT_HEAD)
		return verdict;
	fd = shm_file_open(head->name, O_RDONLY, &status);
	if (fd < 0 || head_report_read(fd, &report) != 0) {
		verdict.says = NO_PERMISSION;
		return verdict;
	}
	*ret_classic = !is_ours(head->name, &status, &report);
	verdict.pid = report.pid;
	verdict.flags = report.flags;
	verdict.says = *ret_classic ? MADE_BY_OTHERS : SERVER_DEAD;
	return verdict;
}

/* As object_served. Where all processes can be seen, one that nobody has open needs no look. */
static int served_by(const struct object *object, const struct holders *holders)
{
	if (!object->users && !holders->blind[0])
		return 0;
	return object_served(object->name);
}

/* `objects` are all of one namespace, HEAD first if there is one. Whose lock is held lives; where
 * HEAD is gone, those that are numbered speak, which only servers of ours do. */
static struct verdict verdict_of(
	const struct object *objects, size_t count, const struct holders *holders)
{
	bool classic;
	struct verdict verdict = verdict_of_head(&objects[0], &classic);
	bool headless = !classic && verdict.says == MADE_BY_OTHERS;

	if (verdict.says == NO_PERMISSION)
		return verdict;
	for (size_t i = 0; i < count; i++) {
		const struct object *one = &objects[i];
		int served = one->type == OBJECT_OTHER ? -1 : served_by(one, holders);

		if (served == 1) {
			verdict.says = classic ? CREATOR_LIVES : SERVER_LIVES;
			verdict.owner = one->uid;
			break;
		}
		if (!headless || !one->index || one->type == OBJECT_OTHER ||
			verdict.says == SERVER_DEAD)
			continue;
		verdict.says = served == 0 ? SERVER_DEAD : NO_PERMISSION;
		verdict.owner = one->uid;
	}
	return verdict;
}

static void judge_by_locks(
	struct object *object, const struct verdict *verdict, const struct holders *holders)
{
	char pid[32] = "";

	if (verdict->pid)
		snprintf(pid, sizeof pid, "%s%u", verdict->says == SERVER_LIVES ? " by " : ", was ",
			verdict->pid);
	object->native = verdict->says != MADE_BY_OTHERS && object->uid == verdict->owner &&
			 object->type != OBJECT_OTHER;
	if (!object->native)
		judge_by_holders(object, holders);
	else if (verdict->says == CREATOR_LIVES)
		judge(object, OBJECT_LIVE, "its creator's lock held");
	else if (verdict->says == SERVER_LIVES)
		judge(object, OBJECT_LIVE, "server's lock held%s%s%s", pid,
			verdict->flags & WIRE_SERVER_NO_LANDLOCK ? ", without Landlock" : "",
			verdict->flags & WIRE_SERVER_NO_SECCOMP ? ", without seccomp" : "");
	else if (verdict->says == SERVER_DEAD)
		judge(object, OBJECT_STALE, "server's lock free%s", pid);
	else if (object->users)
		judge_by_holders(object, holders);
	else
		judge(object, OBJECT_UNKNOWN, "no permission to look at the server's lock");
}

/* The objects from `start` on that are of its namespace: the index after them. */
static size_t space_end(const struct objects *objects, size_t start)
{
	size_t end = start + 1;

	while (end < objects->count && objects->items[end].space &&
		!strcmp(objects->items[end].space, objects->items[start].space))
		end++;
	return end;
}

/* Those that were left to the kernel; unknown without memory to ask it. */
static void judge_the_rest(struct objects *objects, const struct holders *holders)
{
	AUTO_FREE struct lease_query *queries = calloc(objects->count + 1, sizeof *queries);
	size_t count = 0;

	for (size_t i = 0; queries && i < objects->count; i++)
		if (objects->items[i].asked)
			queries[count++] = (struct lease_query){
				.file = objects->items[i].name, .id = objects->items[i].file};
	if (queries)
		lease_ask(queries, count);
	for (size_t i = 0, at = 0; i < objects->count; i++)
		if (objects->items[i].asked)
			judge_unheld(&objects->items[i], queries ? queries[at++].error : ENOMEM,
				holders);
}

void objects_judge(struct objects *objects, const struct holders *holders)
{
	size_t end;

	for (size_t start = 0; start < objects->count; start = end) {
		struct object *first = &objects->items[start];
		struct verdict verdict;

		end = first->space ? space_end(objects, start) : start + 1;
		if (object_is_sysv(first) || first->type == OBJECT_MOUNT)
			continue;
		for (size_t i = start; i < end; i++)
			objects->items[i].users = holders_find(holders, HOLDER_OF_FILE,
				objects->items[i].file, &objects->items[i].holders);
		if (!first->space) {
			judge_by_holders(first, holders);
			continue;
		}
		verdict = verdict_of(first, end - start, holders);
		for (size_t i = start; i < end; i++)
			judge_by_locks(&objects->items[i], &verdict, holders);
	}
	judge_the_rest(objects, holders);
}
