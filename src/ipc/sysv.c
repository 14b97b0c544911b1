#include "ipc/sysv.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <signal.h>
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
	if (set->sem_nsems)
		object->value = semctl(id, 0, GETVAL);
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

/* The kernel lists them by an index with holes; the calls give the id of each. */
int sysv_read(struct objects *objects, struct error *err)
{
	struct shm_info segments;
	struct seminfo sets;
	struct msginfo queues;
	int most;

	most = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&segments);
	for (int i = 0; i <= most; i++) {
		struct shmid_ds segment;
		int id = shmctl(i, SHM_STAT_ANY, &segment);

		if (id >= 0 && !add_segment(objects, id, &segment))
			goto no_memory;
	}
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

static bool is_gone(pid_t pid)
{
	return kill(pid, 0) != 0 && errno == ESRCH;
}

static void judge(struct object *object, enum object_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void judge(struct object *object, enum object_state state, const char *format, ...)
{
	va_list arguments;

	object->state = state;
	va_start(arguments, format);
	vsnprintf(object->why, sizeof object->why, format, arguments);
	va_end(arguments);
}

/* By whether one process, whom the kernel remembers as `role`, still runs. */
static void judge_by_process(struct object *object, pid_t pid, const char *prefix, const char *role)
{
	char command[COMMAND_SIZE], shown[4 * COMMAND_SIZE];

	if (!pid) {
		judge(object, OBJECT_UNKNOWN, "%s%s is of another PID namespace", prefix, role);
	} else if (is_gone(pid)) {
		judge(object, OBJECT_STALE, "%s%s %d is gone", prefix, role, (int)pid);
	} else {
		process_command(pid, command);
		text_escape(command, strlen(command), shown, sizeof shown);
		judge(object, OBJECT_LIVE, "%s %d (%s) runs", role, (int)pid, shown);
	}
}

static void judge_segment(struct object *object)
{
	if (!object->attached) {
		judge_by_process(object, object->creator, "nobody is attached, ", "creator");
	} else if (object->users) {
		object->state = OBJECT_LIVE;
		object_tell_holders(object, "attached by");
	} else {
		judge(object, OBJECT_LIVE, "attached %lld times", (long long)object->attached);
	}
}

/* Each semaphore of a set remembers its own last user; the set is needed if one of them runs. */
static void judge_set(struct object *object)
{
	pid_t last = 0;
	bool unseen = false;

	for (int i = 0; i < (int)object->size; i++) {
		int pid = semctl(object->id, i, GETPID);

		if (pid < 0) {
			judge(object, OBJECT_UNKNOWN, "no permission to see its last user");
			return;
		}
		if (semctl(object->id, i, GETNCNT) > 0 || semctl(object->id, i, GETZCNT) > 0) {
			judge(object, OBJECT_LIVE, "somebody waits for it");
			return;
		}
		if (!pid)
			unseen = true;
		else if (!last || !is_gone(pid))
			last = pid;
		if (last && !is_gone(last))
			break;
	}
	object->last = last;
	if (!last && !object->accessed)
		judge(object, OBJECT_UNKNOWN, "never used, and nobody knows who made it");
	else if (last && unseen && !pids_are_global() && is_gone(last))
		judge_by_process(object, 0, "", "last user");
	else
		judge_by_process(object, last, "", "last user");
}

static void judge_queue(struct object *object)
{
	struct msqid_ds queue;

	if (msgctl(object->id, IPC_STAT, &queue) != 0) {
		judge(object, OBJECT_UNKNOWN, "no permission to see its last user");
		return;
	}
	if (!queue.msg_stime && !queue.msg_rtime)
		judge(object, OBJECT_UNKNOWN, "never used, and nobody knows who made it");
	else if ((queue.msg_stime && !queue.msg_lspid) || (queue.msg_rtime && !queue.msg_lrpid))
		judge_by_process(object, 0, "", "last user");
	else if (queue.msg_lrpid && !is_gone(queue.msg_lrpid))
		judge_by_process(object, queue.msg_lrpid, "", "last reader");
	else if (queue.msg_lspid && !is_gone(queue.msg_lspid))
		judge_by_process(object, queue.msg_lspid, "", "last writer");
	else
		judge_by_process(object, object->last, "", "last user");
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

void sysv_judge(struct objects *objects, const struct holders *holders)
{
	for (size_t i = 0; i < objects->count; i++) {
		struct object *object = &objects->items[i];

		if (!object_is_sysv(object))
			continue;
		if (object->type == OBJECT_SYSV_SEGMENT)
			object->users = holders_find(
				holders, true, (ino_t)object->id, &object->holders);
		judge_one(object);
	}
}

int sysv_remove(const struct object *object)
{
	struct object now = *object;
	struct shmid_ds segment;
	int result;

	if (object->type == OBJECT_SYSV_SEGMENT) {
		if (shmctl(object->id, IPC_STAT, &segment) != 0)
			return errno;
		now.attached = (int64_t)segment.shm_nattch;
	}
	judge_one(&now);
	if (now.state == OBJECT_LIVE)
		return EBUSY;
	if (object->type == OBJECT_SYSV_SEGMENT)
		result = shmctl(object->id, IPC_RMID, NULL);
	else if (object->type == OBJECT_SYSV_SEMAPHORES)
		result = semctl(object->id, 0, IPC_RMID);
	else
		result = msgctl(object->id, IPC_RMID, NULL);
	return result == 0 ? 0 : errno;
}
