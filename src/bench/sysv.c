/* System V shared memory (shmget, shmat) and System V semaphores (semget, semop). */
#include "bench/families.h"
#include "bench/shared.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

struct sysv {
	struct shared shared;
	int segment, semaphores; /* identifiers */
	bool segment_made, semaphores_made;
};

static int create(struct channel *channel, struct error *err)
{
	struct sysv *state = channel->state;

	state->segment = shmget(IPC_PRIVATE, shared_size(channel), IPC_CREAT | 0600);
	if (state->segment < 0)
		return error_os(err, errno, "shmget");
	state->segment_made = true;
	state->semaphores = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
	if (state->semaphores < 0)
		return error_os(err, errno, "semget");
	state->semaphores_made = true;
	for (int response = 0; response < 2; response++)
		if (semctl(state->semaphores, response, SETVAL, 0))
			return error_os(err, errno, "semctl");
	return STATUS_OK;
}

static int join(struct channel *channel, struct error *err)
{
	const struct sysv *state = channel->state;

	/* shmat's failure is the same value as mmap's. */
	return shared_adopt(channel, shmat(state->segment, NULL, 0), "shmat", err);
}

/* A segment that is removed stays until the last process has detached it; semaphores do not. */
static void hide(struct channel *channel)
{
	struct sysv *state = channel->state;

	if (state->segment_made)
		shmctl(state->segment, IPC_RMID, NULL);
	state->segment_made = false;
}

static void remove_semaphores(struct channel *channel)
{
	struct sysv *state = channel->state;

	if (state->semaphores_made)
		semctl(state->semaphores, 0, IPC_RMID);
	state->semaphores_made = false;
}

static void leave(struct channel *channel)
{
	struct sysv *state = channel->state;

	if (state->shared.area)
		shmdt(state->shared.area);
	state->shared.area = NULL;
}

static int change(struct channel *channel, bool response, short by, struct error *err)
{
	const struct sysv *state = channel->state;
	struct sembuf operation = {.sem_num = response, .sem_op = by};

	while (semop(state->semaphores, &operation, 1)) {
		int status = channel_again(channel, "semop", err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static int post(struct channel *channel, bool response, struct error *err)
{
	return change(channel, response, 1, err);
}

static int wait_asleep(struct channel *channel, bool response, struct error *err)
{
	return change(channel, response, -1, err);
}

const struct transport transport_sysv = {
	.name = "sysv",
	.summary = "System V shm and semaphores, sleeping, payload copied in",
	.state_size = sizeof(struct sysv),
	.create = create,
	.join = join,
	.hide = hide,
	.remove = remove_semaphores,
	.leave = leave,
	.ask = shared_ask,
	.answer = shared_answer,
	.post = post,
	.wait = wait_asleep,
	.copies = true,
};
