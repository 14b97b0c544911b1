#include "inventory/holders.h"

#include "base/cleanup.h"
#include "inventory/nameless.h"
#include "inventory/process_walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* By kind and file alone. */
static int compare_held(const struct holder *a, enum holder_kind kind, struct file_id file)
{
	if (a->kind != kind)
		return a->kind > kind ? 1 : -1;
	if (a->file.device != file.device)
		return a->file.device > file.device ? 1 : -1;
	return (a->file.inode > file.inode) - (a->file.inode < file.inode);
}

static int compare_holders(const void *left, const void *right)
{
	const struct holder *a = left, *b = right;
	int order = compare_held(a, b->kind, b->file);

	if (order)
		return order;
	if (a->pid != b->pid)
		return a->pid > b->pid ? 1 : -1;
	return (int)b->mapped - (int)a->mapped;
}

/* Sorts, and keeps one row for each process and object: a mapping rather than a descriptor. */
static void put_in_order(struct holders *found)
{
	size_t kept = 0;

	if (found->count)
		qsort(found->items, found->count, sizeof *found->items, compare_holders);
	for (size_t i = 0; i < found->count; i++) {
		const struct holder *last = kept ? &found->items[kept - 1] : NULL;

		if (last && last->pid == found->items[i].pid &&
			!compare_held(last, found->items[i].kind, found->items[i].file))
			continue;
		found->items[kept++] = found->items[i];
	}
	found->count = kept;
}

static void tell_blindness(struct process_walk *walk)
{
	char *blind = walk->found.blind;
	struct stat status;

	if (!pids_are_global())
		snprintf(blind, sizeof walk->found.blind,
			"cannot see all processes (other PID namespace)");
	else if (stat("/proc/1", &status) != 0)
		snprintf(blind, sizeof walk->found.blind,
			"cannot see all processes (/proc hides them)");
	else if (walk->denied)
		snprintf(blind, sizeof walk->found.blind,
			"cannot see all processes (no permission for %zu of %zu)", walk->denied,
			walk->found.processes);
}

int holders_read(unsigned wanted, struct holders *ret, struct error *err)
{
	AUTO_CLOSEDIR DIR *proc = opendir("/proc");
	struct process_walk walk = {.wanted = wanted};
	struct stat status;

	if (!proc)
		return error_os(err, errno, "cannot read /proc");
	if (stat(SHM_DIRECTORY, &status) != 0)
		return error_os(err, errno, "cannot examine %s", SHM_DIRECTORY);
	walk.shm = status.st_dev;
	walk.memfd = wanted & HOLDERS_MEMFDS ? nameless_memfd_device() : 0;
	walk.ipc = stat("/proc/self/ns/ipc", &status) == 0 ? status.st_ino : 0;
	for (struct dirent *entry; (entry = readdir(proc));)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			atoi(entry->d_name) != getpid())
			process_walk(&walk, dirfd(proc), entry->d_name);
	free(walk.text);
	nameless_settle(&walk.nameless);
	walk.found.nameless = walk.nameless.items;
	walk.found.nameless_count = walk.nameless.count;
	if (walk.out_of_memory) {
		holders_release(&walk.found);
		return error_os(err, ENOMEM, "cannot list the processes");
	}
	put_in_order(&walk.found);
	tell_blindness(&walk);
	*ret = walk.found;
	return STATUS_OK;
}

void holders_release(struct holders *holders)
{
	for (size_t i = 0; i < holders->nameless_count; i++)
		free(holders->nameless[i].name);
	free(holders->nameless);
	free(holders->items);
	*holders = HOLDERS_NONE;
}

size_t holders_find(const struct holders *holders, enum holder_kind kind, struct file_id file,
	const struct holder **ret_first)
{
	size_t low = 0, high = holders->count, count = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_held(&holders->items[middle], kind, file) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low + count < holders->count &&
		!compare_held(&holders->items[low + count], kind, file))
		count++;
	*ret_first = holders->items ? holders->items + low : NULL;
	return count;
}
