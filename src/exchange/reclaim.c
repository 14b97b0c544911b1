#include "exchange/reclaim.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "exchange/head_report.h"
#include "exchange/leftovers.h"
#include "exchange/life.h"
#include "shm/fork.h"
#include "shm/lock.h"
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How long to wait for another cleaner or a dying server while nothing moves; at the very most;
 * and between two looks. */
#define TIMEOUT     (2 * NS_PER_SECOND)
#define TIMEOUT_MAX (20 * NS_PER_SECOND)
#define PAUSE       NS_PER_MS

/* The scene changes while we look at it: look again. *err may say what was in the way. */
#define LOOK_AGAIN (-1)

static int server_lives(const struct name_space *space, uint32_t pid, struct error *err)
{
	if (pid)
		return error_set_os(err, STATUS_TRY_AGAIN, EAGAIN,
			"the namespace '%s' is in use by a running server, pid %u", space->text,
			pid);
	return error_set_os(err, STATUS_TRY_AGAIN, EAGAIN,
		"the namespace '%s' is in use by a running program", space->text);
}

static int others_made(const struct name_space *space, const char *file, struct error *err)
{
	return error_set_os(err, STATUS_TRY_AGAIN, EEXIST,
		"'%s' was not made by a shmsem server, so nobody can tell whether it is in use; if "
		"it is not, 'shmsem cleanup --foreign %s' removes it",
		file, space->text);
}

/*
 * Somebody holds a server's lock without a HEAD that says so: a killed server whose descriptors the
 * kernel is still closing, or one that lives and whose HEAD somebody has removed.
 */
static int server_lingers(const struct name_space *space, struct error *err)
{
	server_lives(space, 0, err);
	return LOOK_AGAIN;
}

/* Whether somebody holds a server's lock in one of them other than HEAD. */
static bool any_served(const struct leftovers *leftovers)
{
	for (size_t i = 0; i < leftovers->count; i++)
		if (leftovers->items[i].kind != OBJECT_HEAD &&
			object_served(leftovers->items[i].file) == 1)
			return true;
	return false;
}

/* What is not a file of the owner's stays. */
static int remove_one(
	const struct leftover *one, uid_t owner, const struct reclaim *reclaim, struct error *err)
{
	const char *why = NULL;
	int failed = EPERM;

	if (one->status.st_uid != owner)
		why = "it belongs to another user";
	else if (!S_ISREG(one->status.st_mode))
		why = file_kind_text(one->status.st_mode);
	else
		failed = shm_file_unlink(one->file, file_id_of(&one->status));
	if (failed == ENOENT)
		return STATUS_OK;
	if (reclaim->tell)
		reclaim->tell(
			reclaim->context, one->file, (uint64_t)one->status.st_blocks * 512, failed);
	if (!failed)
		return STATUS_OK;
	return error_set(err, STATUS_NOT_PERMITTED, "cannot remove '%s': %s", one->file,
		why ? why : os_error_text(failed));
}

/* Removes everything of the namespace but HEAD; the first error. The caller holds the anchor. */
static int remove_rest(const struct name_space *space, const struct leftovers *leftovers,
	uid_t owner, const struct reclaim *reclaim, struct error *err)
{
	int status = STATUS_OK;

	if (any_served(leftovers))
		return server_lingers(space, err);
	for (size_t i = 0; i < leftovers->count; i++) {
		const struct leftover *one = &leftovers->items[i];
		int result = STATUS_OK;

		if (one->kind != OBJECT_HEAD)
			result = remove_one(one, owner, reclaim, status ? NULL : err);
		status = status ? status : result;
	}
	return status;
}

static int remove_head(
	const char *file, const struct stat *is, const struct reclaim *reclaim, struct error *err)
{
	int failed = shm_file_unlink(file, file_id_of(is));

	if (failed == ENOENT)
		return STATUS_OK;
	if (reclaim->tell)
		reclaim->tell(reclaim->context, file, (uint64_t)is->st_blocks * 512, failed);
	if (!failed)
		return STATUS_OK;
	return error_os_as(err, STATUS_NOT_PERMITTED, failed, "cannot remove '%s'", file);
}

/*
 * Becomes the one cleaner of a HEAD whose server is dead. A server locks its HEAD before anybody
 * can see it, so once that lock is free it stays so; we only look, for to those who wait for a
 * server, its lock in our hands would be its life. Where others can lock HEAD, the locks of `life`
 * (life.h) count, else that is -1.
 */
static int anchor_lock(const struct name_space *space, int head, int life,
	const struct head_report *report, struct error *err)
{
	int anchor = life < 0 ? head : life;
	int failed = lock_take(anchor, WIRE_CLEANER_LOCK), held;

	if (failed == EAGAIN)
		return LOOK_AGAIN;
	held = failed ? 0 : lock_held(anchor, WIRE_SERVER_LOCK, 1);
	if (held == 1)
		return server_lives(space, report->pid, err);
	if (held < 0)
		failed = errno;
	if (failed)
		return error_os(err, failed, "cannot lock the header of '%s'", space->text);
	/* For processes that come when `life` is removed already. It may be held by others. */
	if (life >= 0)
		lock_take(head, WIRE_CLEANER_LOCK);
	return STATUS_OK;
}

/* Nothing but a regular file of our own (or, if asked for, of anybody) is ever opened for writing.
 */
static int check_ours(
	const char *file, const struct stat *is, const struct reclaim *reclaim, struct error *err)
{
	const char *remedy = "it is left alone, so use another namespace or have it removed";

	if (!S_ISREG(is->st_mode))
		return error_set(err, STATUS_NOT_PERMITTED, "'%s/%s' is %s, not an object; %s",
			SHM_DIRECTORY, file, file_kind_text(is->st_mode), remedy);
	if (is->st_uid != geteuid() && !reclaim->any_owner)
		return error_set(err, STATUS_NOT_PERMITTED,
			"'%s/%s' belongs to another user, uid %u; %s", SHM_DIRECTORY, file,
			(unsigned)is->st_uid, remedy);
	return STATUS_OK;
}

static int reclaim_headed(const struct name_space *space, const char *file,
	const struct reclaim *reclaim, struct error *err)
{
	AUTO_LEFTOVERS struct leftovers leftovers = {0};
	struct stat status;
	struct head_report report;
	AUTO_CLOSE int fd = shm_file_open(file, O_RDWR, &status);
	AUTO_CLOSE int life = -1;
	int result;

	if (fd < 0 && (errno == ENOENT || errno == ESTALE || errno == EINVAL || errno == ELOOP))
		return LOOK_AGAIN;
	if (fd < 0)
		return error_os(err, errno, "cannot open '%s'", file);
	result = check_ours(file, &status, reclaim, err);
	if (result)
		return result;
	if (head_report_read(fd, &report) != 0)
		return error_os(err, errno, "cannot read '%s'", file);
	/* Only servers of ours let others write HEAD and not the data: whatever HEAD says by now. */
	if (life_open_to_others(&status))
		life = life_open(space, &status, O_RDWR);
	if (life < 0 && !report.native && lock_held(fd, WIRE_SERVER_LOCK, 1) == 1)
		return server_lives(space, 0, err);
	if (life < 0 && !report.native)
		return others_made(space, file, err);
	result = anchor_lock(space, fd, life, &report, err);
	if (!result)
		result = leftovers_find(space, &leftovers, err);
	if (result)
		return result;
	/* Otherwise somebody was faster, and a new server may be there. */
	if (!leftovers_head_is(&leftovers, file_id_of(&status)))
		return LOOK_AGAIN;
	result = remove_rest(space, &leftovers, status.st_uid, reclaim, err);
	return result ? result : remove_head(file, &status, reclaim, err);
}

/* An errno, or 0. */
static int anchor_prepare(int fd, struct stat *ret_status)
{
	int failed = lock_take(fd, WIRE_CLEANER_LOCK);

	if (failed)
		return failed;
	failed = lock_take(fd, WIRE_SERVER_LOCK);
	if (failed)
		return failed;
	return fstat(fd, ret_status) ? errno : 0;
}

/* Makes a HEAD of our own, locked before it can be seen, so that no server starts meanwhile. */
static int anchor_new(const char *file, int *ret_fd, struct stat *ret_status, struct error *err)
{
	const struct access private = {.mode = PLACE_HOLDER_MODE, .group = (gid_t)-1};
	AUTO_CLOSE int fd = shm_file_unnamed(&private);
	int failed = fd < 0 ? errno : anchor_prepare(fd, ret_status);

	if (!failed)
		failed = shm_file_link(fd, file);
	if (failed == EEXIST)
		return LOOK_AGAIN;
	if (failed)
		return error_os(err, failed, "cannot create '%s'", file);
	*ret_fd = steal_fd(&fd);
	return STATUS_OK;
}

/*
 * Objects without a HEAD, which somebody has removed. Only servers of ours number objects.
 *
 * A folder is not read at a single moment, and servers may come and go meanwhile. But whatever one
 * of them makes is gone before its HEAD is: what was listed, and remains after there was no HEAD,
 * is not of those.
 */
static int check_headless(const struct name_space *space, const char *head,
	const struct leftovers *leftovers, const struct reclaim *reclaim, struct error *err)
{
	bool numbered = false;
	struct stat ignored;
	int status;

	for (size_t i = 0; i < leftovers->count; i++) {
		const struct leftover *one = &leftovers->items[i];

		if (one->kind == OBJECT_HEAD)
			return LOOK_AGAIN;
		status = check_ours(one->file, &one->status, reclaim, err);
		if (status)
			return status;
		if (object_served(one->file) == 1)
			return server_lingers(space, err);
		numbered = numbered || one->index;
	}
	if (numbered)
		return STATUS_OK;
	if (lstat(head, &ignored) == 0 ||
		!shm_file_is(leftovers->items[0].file, file_id_of(&leftovers->items[0].status)))
		return LOOK_AGAIN;
	return others_made(space, leftovers->items[0].file, err);
}

static int reclaim_headless(const struct name_space *space, const char *head, const char *path,
	const struct reclaim *reclaim, struct error *err)
{
	AUTO_LEFTOVERS struct leftovers before = {0}, leftovers = {0};
	AUTO_CLOSE int fd = -1;
	struct reclaim silent = {0};
	struct stat status;
	int result, last;

	result = leftovers_find(space, &before, err);
	if (result || !before.count)
		return result;
	result = check_headless(space, path, &before, reclaim, err);
	if (!result)
		result = anchor_new(head, &fd, &status, err);
	if (result)
		return result;
	result = leftovers_find(space, &leftovers, err);
	if (!result)
		result = remove_rest(
			space, &leftovers, before.items[0].status.st_uid, reclaim, err);
	last = remove_head(head, &status, &silent, result ? NULL : err);
	return result ? result : last;
}

/* *seen becomes the inode of HEAD, 0 if there is none. */
static int reclaim_once(const struct name_space *space, const struct reclaim *reclaim, ino_t *seen,
	struct error *err)
{
	char head[OBJECT_FILE_SIZE], path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];
	struct stat status;
	int result;

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY,
		object_file(space, OBJECT_HEAD, 0, head));
	if (lstat(path, &status) != 0) {
		*seen = 0;
		return errno == ENOENT ? reclaim_headless(space, head, path, reclaim, err)
				       : error_os(err, errno, "cannot examine '%s'", path);
	}
	*seen = status.st_ino;
	result = check_ours(head, &status, reclaim, err);
	return result ? result : reclaim_headed(space, head, reclaim, err);
}

int reclaim_namespace(
	const struct name_space *space, const struct reclaim *reclaim, struct error *err)
{
	static const struct reclaim by_default = {0};
	const struct timespec pause = clock_timespec(PAUSE);
	uint64_t last_deadline = deadline_after(TIMEOUT_MAX), deadline = deadline_after(TIMEOUT);
	ino_t seen = 0, before;
	struct error last;
	int status;

	do {
		memset(&last, 0, sizeof last);
		before = seen;
		/* A child that is made now would keep its locks. */
		fork_block();
		status = reclaim_once(space, reclaim ? reclaim : &by_default, &seen, &last);
		fork_unblock();
		if (status != LOOK_AGAIN)
			return status ? error_copy(err, &last) : STATUS_OK;
		/* Another HEAD: the others make progress, so that ours will come. */
		if (seen != before)
			deadline = deadline_after(TIMEOUT);
		nanosleep(&pause, NULL);
	} while (clock_now() < deadline && clock_now() < last_deadline);
	if (!last.status)
		return error_set_os(err, STATUS_TRY_AGAIN, EBUSY,
			"somebody else is cleaning the namespace '%s'", space->text);
	return error_copy(err, &last);
}
