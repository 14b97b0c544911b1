#include "inventory/sysv.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "inventory/judge.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

/* semctl's fourth argument, which the caller has to declare (semctl(2)). */
union semaphore_argument {
	int value;
	struct semid_ds *set;
	unsigned short *values;
	struct seminfo *info;
};

static int64_t later_of(time_t a, time_t b)
{
	return (int64_t)(a > b ? a : b) * (int64_t)NS_PER_SECOND;
}

static struct object *add(struct objects *objects, enum object_type type, const char *prefix,
	int id, const struct ipc_perm *access)
{
	struct object *object = objects_add(objects);

	if (!object)
		return NULL;
	if (asprintf(&object->name, "%s:%d", prefix, id) < 0) {
		objects->count--;
		return NULL;
	}
	object->type = type;
	object->id = id;
	object->uid = access->uid;
	object->gid = access->gid;
	object->mode = access->mode & 0777;
	return object;
}

static bool add_segment(struct objects *objects, int id, const struct shmid_ds *segment)
{
	struct object *object = add(objects, OBJECT_SYSV_SEGMENT, "shm", id, &segment->shm_perm);

	if (!object)
		return false;
	object->size = segment->shm_segsz;
	object->changed = object->birth = later_of(segment->shm_ctime, 0);
	object->accessed = later_of(segment->shm_atime, segment->shm_dtime);
	object->creator = segment->shm_cpid;
	object->last = segment->shm_lpid;
	object->attached = (int64_t)segment->shm_nattch;
	return true;
}

static bool add_set(struct objects *objects, int id, const struct semid_ds *set)
{
	struct object *object = add(objects, OBJECT_SYSV_SEMAPHORES, "sem", id, &set->sem_perm);

	if (!object)
		return false;
	object->size = set->sem_nsems;
	object->changed = object->birth = later_of(set->sem_ctime, 0);
	object->accessed = later_of(set->sem_otime, 0);
	return true;
}

static bool add_queue(struct objects *objects, int id, const struct msqid_ds *queue)
{
	struct object *object = add(objects, OBJECT_SYSV_QUEUE, "msg", id, &queue->msg_perm);

	if (!object)
		return false;
	object->size = queue->__msg_cbytes;
	object->changed = object->birth = later_of(queue->msg_ctime, 0);
	object->accessed = later_of(queue->msg_stime, queue->msg_rtime);
	object->last = queue->msg_rtime > queue->msg_stime ? queue->msg_lrpid : queue->msg_lspid;
	return true;
}

/* How much of the segments is in memory or swapped out, which no call tells; `objects` from `first`
 * on are segments. */
static void measure_segments(struct objects *objects, size_t first)
{
	AUTO_FCLOSE FILE *file = fopen("/proc/sysvipc/shm", "re");
	size_t segments = objects->count - first, at = 0;
	unsigned long long resident, swapped;
	char line[512];
	int id;

	while (file && fgets(line, sizeof line, file)) {
		if (sscanf(line, "%*d %d %*o %*u %*d %*d %*u %*u %*u %*u %*u %*u %*u %*u %llu %llu",
			    &id, &resident, &swapped) != 3)
			continue;
		/* Both lists have one order: the next one is found at once. */
		for (size_t tried = 0; tried < segments; tried++, at = (at + 1) % segments)
			if (objects->items[first + at].id == id) {
				objects->items[first + at].allocated = resident + swapped;
				break;
			}
	}
}

/* The kernel lists them by an index with holes; the calls give the id of each. */
int sysv_read(struct objects *objects, struct error *err)
{
	struct shm_info segments;
	struct seminfo sets;
	struct msginfo queues;
	size_t first = objects->count;
	int most;

	most = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&segments);
	for (int i = 0; i <= most; i++) {
		struct shmid_ds segment;
		int id = shmctl(i, SHM_STAT_ANY, &segment);

		if (id >= 0 && !add_segment(objects, id, &segment))
			goto no_memory;
	}
	if (objects->count > first)
		measure_segments(objects, first);
	most = semctl(0, 0, SEM_INFO, (union semaphore_argument){.info = &sets});
	for (int i = 0; i <= most; i++) {
		struct semid_ds set;
		int id = semctl(i, 0, SEM_STAT_ANY, (union semaphore_argument){.set = &set});

		if (id >= 0 && !add_set(objects, id, &set))
			goto no_memory;
	}
	most = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&queues);
	for (int i = 0; i <= most; i++) {
		struct msqid_ds queue;
		int id = msgctl(i, MSG_STAT_ANY, &queue);

		if (id >= 0 && !add_queue(objects, id, &queue))
			goto no_memory;
	}
	return STATUS_OK;

no_memory:
	return error_os(err, ENOMEM, "cannot list the System V objects");
}

/* "812 (python3)" of a process that runs. */
static const char *running_text(pid_t pid, char text[PROCESS_TEXT_SIZE])
{
	char command[COMMAND_SIZE];

	return process_text(pid, process_command(pid, command), text);
}

/* The kernel counts who is attached, wherever they run: that nobody is, and that its creator is
 * gone, is proof. */
static void judge_segment(struct object *object)
{
	char text[PROCESS_TEXT_SIZE];

	if (object->users) {
		judge_held(object, "attached by");
	} else if (object->attached) {
		judge(object, OBJECT_LIVE, "attached %lld times", (long long)object->attached);
	} else if (!object->creator) {
		object->elsewhere = true;
		judge(object, OBJECT_UNKNOWN,
			"nobody is attached, creator is of another PID namespace");
	} else if (process_has_ended(object->creator)) {
		judge(object, OBJECT_STALE, "nobody is attached, creator %d is gone",
			(int)object->creator);
	} else {
		judge(object, OBJECT_LIVE, "creator %s runs", running_text(object->creator, text));
	}
}

/*
 * Nobody is attached to a semaphore set or a queue, and the kernel remembers only the last process
 * that used it: that one running is a sign of use, its end is none of disuse.
 */
static void judge_by_last_user(struct object *object, const char *role)
{
	char text[PROCESS_TEXT_SIZE];

	object->elsewhere = object->accessed && !object->last;
	if (!object->accessed)
		judge(object, OBJECT_UNKNOWN, "never used, and nobody knows who made it");
	else if (object->elsewhere)
		judge(object, OBJECT_UNKNOWN, "%s is of another PID namespace", role);
	else if (process_has_ended(object->last))
		judge(object, OBJECT_UNKNOWN, "%s %d is gone, others may use it still", role,
			(int)object->last);
	else
		judge(object, OBJECT_LIVE, "%s %s runs", role, running_text(object->last, text));
}

/* What the semaphores of a set tell, each of which remembers its own last user. */
struct set_use {
	bool denied, awaited, runs;
	bool unused; /* a semaphore that nobody used, or another PID namespace */
	pid_t last;  /* one that runs, if any does */
};

static struct set_use look_at_set(const struct object *object)
{
	struct set_use use = {0};

	for (int i = 0; i < (int)object->size && !use.awaited; i++) {
		pid_t pid = semctl(object->id, i, GETPID);

		if (pid < 0) {
			use.denied = true;
			return use;
		}
		use.awaited = semctl(object->id, i, GETNCNT) > 0 ||
			      semctl(object->id, i, GETZCNT) > 0;
		use.unused = use.unused || !pid;
		if (!pid || use.runs)
			continue;
		use.last = pid;
		use.runs = !process_has_ended(pid);
	}
	return use;
}

static void judge_set(struct object *object)
{
	struct set_use use = look_at_set(object);

	if (object->users) {
		judge_held(object, "waited for by");
	} else if (use.denied) {
		judge(object, OBJECT_UNKNOWN, "no permission to see its last user");
	} else if (use.awaited) {
		judge(object, OBJECT_LIVE, "somebody waits for it");
	} else {
		/* In doubt one of another namespace uses it. */
		object->last = use.runs || !use.unused || pids_are_global() ? use.last : 0;
		judge_by_last_user(object, "last user");
	}
}

static void judge_queue(struct object *object)
{
	struct msqid_ds queue;

	if (object->users) {
		judge_held(object, "waited for by");
	} else if (msgctl(object->id, IPC_STAT, &queue) != 0) {
		judge(object, OBJECT_UNKNOWN, "no permission to see its last user");
	} else if (queue.msg_lrpid && !process_has_ended(queue.msg_lrpid)) {
		object->last = queue.msg_lrpid;
		judge_by_last_user(object, "last reader");
	} else if (queue.msg_lspid && !process_has_ended(queue.msg_lspid)) {
		object->last = queue.msg_lspid;
		judge_by_last_user(object, "last writer");
	} else {
		if ((queue.msg_rtime && !queue.msg_lrpid) || (queue.msg_stime && !queue.msg_lspid))
			object->last = 0;
		judge_by_last_user(object, "last user");
	}
}

static void judge_one(struct object *object)
{
	if (object->type == OBJECT_SYSV_SEGMENT)
		judge_segment(object);
	else if (object->type == OBJECT_SYSV_SEMAPHORES)
		judge_set(object);
	else
		judge_queue(object);
}

static const enum holder_kind holder_kinds[] = {
	[OBJECT_SYSV_SEGMENT] = HOLDER_OF_SYSV_SEGMENT,
	[OBJECT_SYSV_SEMAPHORES] = WAITER_FOR_SYSV_SET,
	[OBJECT_SYSV_QUEUE] = WAITER_FOR_SYSV_QUEUE,
};

void sysv_judge(struct objects *objects, const struct holders *holders)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct object *object = &objects->items[i];

		if (!object_is_sysv(object))
			continue;
		object->users = holders_find(holders, holder_kinds[object->type],
			(struct file_id){.inode = (ino_t)object->id}, &object->holders);
		judge_one(object);
	}
}

int64_t sysv_value(const struct object *object)
{
	return object->type == OBJECT_SYSV_SEMAPHORES ? semctl(object->id, 0, GETVAL) : -1;
}

int sysv_remove(const struct object *object)
{
	struct object now = *object;
	struct shmid_ds segment;
	enum object_state state;
	int result;

	/* Who waited or was attached then says nothing of now. */
	now.why = NULL;
	now.users = 0;

	if (object->type == OBJECT_SYSV_SEGMENT) {
		if (shmctl(object->id, IPC_STAT, &segment) != 0)
			return errno;
		now.attached = (int64_t)segment.shm_nattch;
	}
	judge_one(&now);
	state = now.state;
	free(now.why);
	if (state == OBJECT_LIVE)
		return EBUSY;
	if (object->type == OBJECT_SYSV_SEGMENT)
		result = shmctl(object->id, IPC_RMID, NULL);
	else if (object->type == OBJECT_SYSV_SEMAPHORES)
		result = semctl(object->id, 0, IPC_RMID);
	else
		result = msgctl(object->id, IPC_RMID, NULL);
	return result == 0 ? 0 : errno;
}
