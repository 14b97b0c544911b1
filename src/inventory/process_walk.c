#include "inventory/process_walk.h"

#include "base/cleanup.h"
#include "base/grow.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* How the kernel names a System V segment in maps. */
#define SYSV_PATH  "/SYSV"
#define MEMFD_PATH "/memfd:"

static void note_holder(
	struct process_walk *walk, enum holder_kind kind, struct file_id file, bool mapped)
{
	struct holders *found = &walk->found;
	struct holder *more = grow(found->items, found->count, &walk->room, sizeof *more);

	if (!more) {
		walk->out_of_memory = true;
		return;
	}
	found->items = more;
	if (!walk->command[0])
		process_command(walk->pid, walk->command);
	found->items[found->count] = (struct holder){
		.kind = kind, .file = file, .pid = walk->pid, .mapped = mapped};
	memcpy(found->items[found->count].command, walk->command, COMMAND_SIZE);
	found->count++;
}

/* Ids of System V mean something in their own IPC namespace only. */
static bool shares_ipc(const struct process_walk *walk)
{
	struct stat status;

	return fstatat(walk->process, "ns/ipc", &status, 0) == 0 && status.st_ino == walk->ipc;
}

static bool is_memfd(const struct process_walk *walk, const char *path, size_t length)
{
	return walk->wanted & HOLDERS_MEMFDS && length > strlen(MEMFD_PATH) &&
	       !memcmp(path, MEMFD_PATH, strlen(MEMFD_PATH));
}

/* A mapping of a file of /dev/shm or of a memfd; `range`: "start-end", which names it in map_files,
 * too, where the privileged may look at the file itself. */
static void note_mapped_file(struct process_walk *walk, struct file_id file, const char *range,
	size_t range_length, const char *path, size_t length)
{
	char name[64];
	struct statx status;
	unsigned long start, end;

	note_holder(walk, HOLDER_OF_FILE, file, true);
	if (!length || path[length - 1] != ')' || range_length >= 40)
		return;
	snprintf(name, sizeof name, "map_files/%.*s", (int)range_length, range);
	if (sscanf(range, "%lx-%lx", &start, &end) != 2)
		return;
	if (statx(walk->process, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
		    &status) == 0)
		walk->out_of_memory |= !nameless_note(
			&walk->nameless, file, path, length, &status, end - start);
	else
		walk->out_of_memory |= !nameless_note(
			&walk->nameless, file, path, length, NULL, end - start);
}

/* "start-end permissions offset major:minor inode path" */
static void note_mapping(struct process_walk *walk, const char *line, const char *end)
{
	unsigned long device_major, device_minor;
	size_t range = strcspn(line, " ");
	struct file_id file;
	const char *at = line;
	char *next;

	for (unsigned field = 0; field < 3; field++) {
		at = memchr(at, ' ', (size_t)(end - at));
		if (!at)
			return;
		at++;
	}
	device_major = strtoul(at, &next, 16);
	if (*next != ':')
		return;
	device_minor = strtoul(next + 1, &next, 16);
	file.device = makedev(device_major, device_minor);
	file.inode = strtoul(next, &next, 10);
	next += strspn(next, " ");
	/* The id of a segment may be 0; the inode of a file is not. */
	if (file.inode && (file.device == walk->shm || is_memfd(walk, next, (size_t)(end - next))))
		note_mapped_file(walk, file, line, range, next, (size_t)(end - next));
	else if (!device_major && !strncmp(next, SYSV_PATH, strlen(SYSV_PATH)) && shares_ipc(walk))
		note_holder(
			walk, HOLDER_OF_SYSV_SEGMENT, (struct file_id){.inode = file.inode}, true);
}

/* Reads a file of /proc whole; its length, or -1 with errno. Its text ends with a NUL. */
static ssize_t read_text(struct process_walk *walk, int fd)
{
	size_t used = 0;

	for (;;) {
		ssize_t got;

		if (used + 1 >= walk->text_room) {
			size_t room = walk->text_room ? 2 * walk->text_room : 1 << 16;
			char *more = realloc(walk->text, room);

			if (!more) {
				walk->out_of_memory = true;
				return -1;
			}
			walk->text = more;
			walk->text_room = room;
		}
		got = read(fd, walk->text + used, walk->text_room - used - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		used += (size_t)got;
	}
	walk->text[used] = '\0';
	return (ssize_t)used;
}

/* Whether a failure means no more than that the process has ended. */
static bool has_ended(int os_error)
{
	return os_error == ENOENT || os_error == ESRCH;
}

/* The length of the task's maps, 0 for a task that has ended or none; -1 if they may not be read.
 */
static ssize_t walk_maps(struct process_walk *walk, int task)
{
	AUTO_CLOSE int fd = openat(task, "maps", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read_text(walk, fd);

	if (length < 0 && has_ended(errno))
		return 0;
	if (length < 0) {
		walk->denied++;
		return -1;
	}
	for (char *line = walk->text; *line;) {
		char *end = strchrnul(line, '\n');

		note_mapping(walk, line, end);
		line = *end ? end + 1 : end;
	}
	return length;
}

/* A folder of /proc; NULL, and noted if it is kept from us. */
static DIR *open_folder(struct process_walk *walk, int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory) {
		walk->denied += !has_ended(errno);
		if (fd >= 0)
			close(fd);
	}
	return directory;
}

static void note_open_file(
	struct process_walk *walk, int directory, const char *number, const struct statx *status)
{
	dev_t device = makedev(status->stx_dev_major, status->stx_dev_minor);
	struct file_id file = {.device = device, .inode = status->stx_ino};
	char path[PATH_MAX];
	ssize_t length = 0;

	/* A named file of /dev/shm needs no name from here. */
	if (device != walk->shm || !status->stx_nlink)
		length = readlinkat(directory, number, path, sizeof path);
	if (length < 0 || (device != walk->shm && !is_memfd(walk, path, (size_t)length)))
		return;
	note_holder(walk, HOLDER_OF_FILE, file, false);
	if (length)
		walk->out_of_memory |= !nameless_note(
			&walk->nameless, file, path, (size_t)length, status, 0);
}

static void walk_descriptors(struct process_walk *walk, int task)
{
	AUTO_CLOSEDIR DIR *directory = open_folder(walk, task, "fd");

	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		struct statx status;
		dev_t device;

		/* Without synchronizing, a dead file server cannot hold us up. */
		if (entry->d_name[0] == '.' ||
			statx(dirfd(directory), entry->d_name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT,
				STATX_BASIC_STATS, &status) != 0)
			continue;
		device = makedev(status.stx_dev_major, status.stx_dev_minor);
		if (device == walk->shm || (walk->memfd && device == walk->memfd))
			note_open_file(walk, dirfd(directory), entry->d_name, &status);
	}
}

/* The call that a thread is blocked in, if it waits for a System V object; /proc shows "number
 * argument ...", and "running" otherwise. */
static void note_waiter(struct process_walk *walk, int tasks, const char *task)
{
	char path[32], text[128];
	AUTO_CLOSE int fd = -1;
	unsigned long id;
	ssize_t length;
	long call;

	snprintf(path, sizeof path, "%.16s/syscall", task);
	fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (length <= 0)
		return;
	text[length] = '\0';
	if (sscanf(text, "%ld %lx", &call, &id) != 2)
		return;
	if (call == SYS_semop || call == SYS_semtimedop)
		note_holder(walk, WAITER_FOR_SYSV_SET, (struct file_id){.inode = id}, false);
	else if (call == SYS_msgrcv || call == SYS_msgsnd)
		note_holder(walk, WAITER_FOR_SYSV_QUEUE, (struct file_id){.inode = id}, false);
}

static void walk_waiters(struct process_walk *walk, int process)
{
	AUTO_CLOSEDIR DIR *directory = NULL;

	if (!(walk->wanted & HOLDERS_WAITERS) || !shares_ipc(walk))
		return;
	directory = open_folder(walk, process, "task");
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		if (entry->d_name[0] != '.')
			note_waiter(walk, dirfd(directory), entry->d_name);
}

/*
 * A main thread that has ended shows no maps and no descriptors while the others go on: then each
 * of those is asked. (Kernel threads have none either.)
 */
static void walk_threads(struct process_walk *walk, int process)
{
	AUTO_CLOSEDIR DIR *directory = open_folder(walk, process, "task");

	for (struct dirent *entry; directory && (entry = readdir(directory));) {
		AUTO_CLOSE int task = -1;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == walk->pid)
			continue;
		task = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (task < 0)
			continue;
		if (walk_maps(walk, task) > 0)
			walk_descriptors(walk, task);
	}
}

void process_walk(struct process_walk *walk, int proc, const char *name)
{
	AUTO_CLOSE int process = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t length;

	walk->pid = atoi(name);
	walk->command[0] = '\0';
	if (process < 0) {
		walk->denied += !has_ended(errno);
		return;
	}
	walk->process = process;
	walk->found.processes++;
	length = walk_maps(walk, process);
	if (length > 0)
		walk_descriptors(walk, process);
	else if (length == 0)
		walk_threads(walk, process);
	walk_waiters(walk, process);
}
