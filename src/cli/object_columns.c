#include "cli/object_columns.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "exchange/head_report.h"
#include "inventory/sysv.h"
#include "shm/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum column {
	COLUMN_NAME,
	COLUMN_TYPE,
	COLUMN_SIZE,
	COLUMN_ALLOC,
	COLUMN_OWNER,
	COLUMN_GROUP,
	COLUMN_MODE,
	COLUMN_AGE,
	COLUMN_BIRTH,
	COLUMN_ACCESSED,
	COLUMN_CREATOR,
	COLUMN_LAST,
	COLUMN_USERS,
	COLUMN_PIDS,
	COLUMN_COMMAND,
	COLUMN_VALUE,
	COLUMN_NATTCH,
	COLUMN_DIMS,
	COLUMN_HELD,
	COLUMN_STATUS,
	COLUMN_WHY,
	COLUMNS,
};

const struct table_column object_columns[COLUMNS + 1] = {
	[COLUMN_NAME] = {"NAME", TABLE_NAME, "file below /dev/shm, or kind and id"},
	[COLUMN_TYPE] = {"TYPE", TABLE_TEXT, "segment, semaphore, deleted, memfd, ..."},
	[COLUMN_SIZE] = {"SIZE", TABLE_SIZE, "size"},
	[COLUMN_ALLOC] = {"ALLOC", TABLE_SIZE, "memory really used"},
	[COLUMN_OWNER] = {"OWNER", TABLE_TEXT, "user"},
	[COLUMN_GROUP] = {"GROUP", TABLE_TEXT, "group"},
	[COLUMN_MODE] = {"MODE", TABLE_TEXT, "permissions"},
	[COLUMN_AGE] = {"AGE", TABLE_TEXT, "time since it was made"},
	[COLUMN_BIRTH] = {"BIRTH", TABLE_TEXT, "when it was made"},
	[COLUMN_ACCESSED] = {"ACCESSED", TABLE_TEXT, "when it was last read or attached"},
	[COLUMN_CREATOR] = {"CREATOR", TABLE_NUMBER, "pid that made it (System V)"},
	[COLUMN_LAST] = {"LAST", TABLE_NUMBER, "pid that used it last (System V)"},
	[COLUMN_USERS] = {"USERS", TABLE_NUMBER, "processes seen to hold it"},
	[COLUMN_PIDS] = {"PIDS", TABLE_NUMBERS, "their pids"},
	[COLUMN_COMMAND] = {"COMMAND", TABLE_TEXT, "the name of the first of them"},
	[COLUMN_VALUE] = {"VALUE", TABLE_NUMBER, "value of a semaphore"},
	[COLUMN_NATTCH] = {"NATTCH", TABLE_NUMBER, "attachments of a System V segment"},
	[COLUMN_DIMS] = {"DIMS", TABLE_TEXT, "the last image handed over through a header"},
	[COLUMN_HELD] = {"HELD", TABLE_NUMBER, "images that requesters hold"},
	[COLUMN_STATUS] = {"STATUS", TABLE_TEXT, "live, stale or unknown"},
	[COLUMN_WHY] = {"WHY", TABLE_WIDE, "how we know"},
	{0},
};

static uint64_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void time_text(int64_t ns, char *text, size_t size)
{
	time_t seconds = (time_t)(ns / (int64_t)NS_PER_SECOND);
	struct tm parts;

	text[0] = '\0';
	if (ns && localtime_r(&seconds, &parts))
		strftime(text, size, "%Y-%m-%dT%H:%M:%S%z", &parts);
}

static void age_text(const struct object *object, char text[SIZE_TEXT_SIZE])
{
	int64_t since = object->birth ? object->birth : object->changed;
	uint64_t now = wall_clock(), age = now > (uint64_t)since ? now - (uint64_t)since : 0;

	text[0] = '\0';
	/* Clocks of files tick coarsely; nothing below a second is worth telling. */
	if (since)
		format_duration(age / NS_PER_SECOND * NS_PER_SECOND, text);
	if (since && age < NS_PER_SECOND)
		strcpy(text, "0s");
}

static void mode_text(mode_t mode, char text[10])
{
	for (unsigned i = 0; i < 9; i++)
		text[i] = mode & (0400U >> i) ? "rwx"[i % 3] : '-';
	text[9] = '\0';
}

/* A look-up reads a file or asks a server: names are kept, one for all ids that leave the same
 * remainder. */
#define NAMES_KEPT 64

struct kept_name {
	bool known;
	unsigned id;
	char text[64];
};

static const char *user_name(unsigned id)
{
	const struct passwd *user = getpwuid(id);

	return user ? user->pw_name : NULL;
}

static const char *group_name(unsigned id)
{
	const struct group *group = getgrgid(id);

	return group ? group->gr_name : NULL;
}

/* The name of a user or a group, or else its number. */
static const char *name_of(
	unsigned id, const char *(*look_up)(unsigned id), struct kept_name kept[NAMES_KEPT])
{
	struct kept_name *one = &kept[id % NAMES_KEPT];
	const char *name;

	if (one->known && one->id == id)
		return one->text;
	name = look_up(id);
	if (name)
		snprintf(one->text, sizeof one->text, "%s", name);
	else
		snprintf(one->text, sizeof one->text, "%u", id);
	one->id = id;
	one->known = true;
	return one->text;
}

static const char *user_text(uid_t uid)
{
	static struct kept_name kept[NAMES_KEPT];

	return name_of(uid, user_name, kept);
}

static const char *group_text(gid_t gid)
{
	static struct kept_name kept[NAMES_KEPT];

	return name_of(gid, group_name, kept);
}

static void number_text(int64_t number, bool known, char text[NUMBER_TEXT_SIZE])
{
	text[0] = '\0';
	if (known)
		format_number((uint64_t)number, text);
}

static void value_text(const struct object *object, char text[NUMBER_TEXT_SIZE])
{
	int64_t value = -1;

	if (object->type == OBJECT_SEMAPHORE)
		value = object_semaphore_value(object);
	else if (object->type == OBJECT_SYSV_SEMAPHORES)
		value = sysv_value(object);
	number_text(value, value >= 0, text);
}

/* DIMS and HELD, from HEAD. */
static void header_text(const struct object *object, enum column column, char *text, size_t size)
{
	struct head_report_seat seat = {0};
	struct head_report report = {0};
	struct stat status;
	AUTO_CLOSE int fd = -1;
	uint64_t held = 0;

	text[0] = '\0';
	if (!object->native || object->kind != OBJECT_HEAD)
		return;
	fd = shm_file_open(object->name, O_RDONLY, &status);
	if (fd < 0 || head_report_read(fd, &report) != 0 || !report.native)
		return;
	for (unsigned i = report.seats; i-- > 0; held += seat.held)
		if (head_report_read_seat(fd, &report, i, &seat) != 0)
			return;
	if (column == COLUMN_HELD)
		number_text((int64_t)held, true, text);
	else if (seat.words[1] && seat.words[2] && seat.words[3])
		snprintf(text, size, "%llux%llux%llu", (unsigned long long)seat.words[1],
			(unsigned long long)seat.words[2], (unsigned long long)seat.words[3]);
}

static int put_pids(struct table *table, size_t at, const struct object *object, struct error *err)
{
	AUTO_FREE int64_t *pids = calloc(object->users + 1, sizeof *pids);

	if (!pids)
		return error_os(err, ENOMEM, "cannot list the holders");
	for (size_t i = 0; i < object->users; i++)
		pids[i] = object->holders[i].pid;
	return table_put_numbers(table, at, pids, object->users, err);
}

static const enum table_tint tints[] = {
	[OBJECT_UNKNOWN] = TINT_WARNING,
	[OBJECT_STALE] = TINT_BAD,
	[OBJECT_LIVE] = TINT_GOOD,
};

/* Of a cell that is kept as text; NULL of another. */
static const char *kept_text(const struct object *object, enum column column)
{
	switch (column) {
	case COLUMN_NAME:
		return object->name;
	case COLUMN_TYPE:
		return object_type_text(object->type);
	case COLUMN_OWNER:
		return object->mode ? user_text(object->uid) : "";
	case COLUMN_GROUP:
		return object->mode ? group_text(object->gid) : "";
	case COLUMN_COMMAND:
		return object->users ? object->holders->command : "";
	case COLUMN_STATUS:
		return object_state_text(object->state);
	case COLUMN_WHY:
		return object->why ? object->why : "";
	default:
		return NULL;
	}
}

/* Of a cell that is made of numbers; empty of another. */
static void made_text(const struct table *table, const struct object *object, enum column column,
	char *text, size_t size)
{
	switch (column) {
	case COLUMN_SIZE:
		if (object->type != OBJECT_SYSV_SEMAPHORES)
			table_size_text(table, object->size, text);
		break;
	case COLUMN_ALLOC:
		if (!object_is_sysv(object) || object->type == OBJECT_SYSV_SEGMENT)
			table_size_text(table, object->allocated, text);
		break;
	case COLUMN_MODE:
		if (object->mode)
			mode_text(object->mode, text);
		break;
	case COLUMN_AGE:
		age_text(object, text);
		break;
	case COLUMN_BIRTH:
		time_text(object->birth, text, size);
		break;
	case COLUMN_ACCESSED:
		time_text(object->accessed, text, size);
		break;
	case COLUMN_CREATOR:
		number_text(object->creator, object->creator, text);
		break;
	case COLUMN_LAST:
		number_text(object->last, object->last, text);
		break;
	case COLUMN_USERS:
		number_text((int64_t)object->users, true, text);
		break;
	case COLUMN_VALUE:
		value_text(object, text);
		break;
	case COLUMN_NATTCH:
		number_text(object->attached, object->attached >= 0, text);
		break;
	case COLUMN_DIMS:
	case COLUMN_HELD:
		header_text(object, column, text, size);
		break;
	default:
		break;
	}
}

int object_put_cell(struct table *table, size_t at, size_t column, const struct object *object,
	struct error *err)
{
	const char *kept = kept_text(object, (enum column)column);
	char text[256] = "";

	if (column == COLUMN_PIDS)
		return put_pids(table, at, object, err);
	if (column == COLUMN_STATUS)
		table_tint(table, at, tints[object->state]);
	if (!kept)
		made_text(table, object, (enum column)column, text, sizeof text);
	return table_put(table, at, kept ? kept : text, err);
}
