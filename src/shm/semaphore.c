#include "shm/semaphore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* "/SEM_x" is the file "sem.SEM_x". */
static const char *semaphore_file(const char *name, char file[OBJECT_FILE_SIZE])
{
	snprintf(file, OBJECT_FILE_SIZE, "%s%s", SEMAPHORE_FILE_PREFIX, name + 1);
	return file;
}

static int create_failed(int failed, const char *name, struct error *err)
{
	if (failed == ENOSPC)
		return segment_full(sizeof(sem_t), err);
	return error_os_as(err, failed == EEXIST ? STATUS_TRY_AGAIN : error_status_of(failed),
		failed, "cannot create the semaphore '%s'", name);
}

int semaphore_new(const char *name, const struct access *access, int *ret_fd, struct error *err)
{
	AUTO_CLOSE int fd = shm_file_unnamed(access);
	sem_t initial;

	if (fd < 0 || sem_init(&initial, 1, 0) != 0 ||
		write_full(fd, &initial, sizeof initial) != 0)
		return create_failed(errno, name, err);
	*ret_fd = steal_fd(&fd);
	return STATUS_OK;
}

int semaphore_publish(int fd, const char *name, struct file_id *ret_id, struct error *err)
{
	char file[OBJECT_FILE_SIZE];
	struct stat status;
	int failed = fstat(fd, &status) != 0 ? errno
					     : shm_file_link(fd, semaphore_file(name, file));

	if (failed)
		return create_failed(failed, name, err);
	*ret_id = file_id_of(&status);
	return STATUS_OK;
}

int semaphore_create(
	const char *name, const struct access *access, struct file_id *ret_id, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	int status = semaphore_new(name, access, &fd, err);

	return status ? status : semaphore_publish(fd, name, ret_id, err);
}

int semaphore_open(const char *name, sem_t **ret, struct error *err)
{
	char file[OBJECT_FILE_SIZE];
	struct stat status;
	AUTO_CLOSE int fd = shm_file_open(semaphore_file(name, file), O_RDWR, &status);
	void *semaphore;

	if (fd < 0 && errno != EINVAL)
		return object_open_failed(errno, name, err);
	if (fd < 0 || status.st_size < (off_t)sizeof(sem_t))
		return error_set(err, STATUS_BAD_DATA, "'%s' is not a semaphore", name);
	semaphore = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (semaphore == MAP_FAILED)
		return error_os(err, errno, "cannot map '%s'", name);
	*ret = semaphore;
	return STATUS_OK;
}

void semaphore_close(sem_t *semaphore)
{
	munmap(semaphore, sizeof *semaphore);
}

bool semaphore_try(sem_t *semaphore)
{
	return sem_trywait(semaphore) == 0;
}

/*
 * sem_clockwait() ends the process when the semaphore's page goes away under the sleeping futex,
 * which any process can cause that may truncate the file; sem_post() wakes nobody when the value
 * was set to its maximum under a sleeper, or makes it 0 from above that. These do the same to the
 * semaphore, whose layout between processes is that of glibc since 2.21: one word of 64 bits, the
 * value in the lower half and the number of those who sleep in the upper.
 */
#define WAITER (UINT64_C(1) << 32)

/* What the kernel compares: the lower half. */
static void *value_of(_Atomic uint64_t *word)
{
	return (char *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
}

void semaphore_post(sem_t *semaphore)
{
	_Atomic uint64_t *word = (_Atomic uint64_t *)(void *)semaphore;
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	while ((uint32_t)seen < SEM_VALUE_MAX &&
		!atomic_compare_exchange_weak_explicit(
			word, &seen, seen + 1, memory_order_release, memory_order_relaxed))
		;
	if (seen >= WAITER)
		syscall(SYS_futex, value_of(word), FUTEX_WAKE, 1);
}

void semaphore_wake(sem_t *semaphore)
{
	syscall(SYS_futex, value_of((_Atomic uint64_t *)(void *)semaphore), FUTEX_WAKE, 1);
}

bool semaphore_wait(sem_t *semaphore, uint64_t deadline)
{
	_Atomic uint64_t *word = (_Atomic uint64_t *)(void *)semaphore;
	struct timespec until = clock_timespec(deadline);
	uint64_t seen = atomic_fetch_add(word, WAITER) + WAITER;

	for (;;) {
		while ((uint32_t)seen)
			if (atomic_compare_exchange_weak(
				    word, &seen, seen - 1 - (seen >= WAITER ? WAITER : 0)))
				return true;
		if (syscall(SYS_futex, value_of(word), FUTEX_WAIT_BITSET, 0, &until, NULL,
			    FUTEX_BITSET_MATCH_ANY) != 0 &&
			errno != EAGAIN && errno != EINTR)
			break;
		seen = atomic_load(word);
	}
	atomic_fetch_sub(word, WAITER);
	return false;
}

void semaphore_reset(sem_t *semaphore)
{
	sem_init(semaphore, 1, 0);
	/* Before the look that follows: a post that this has undone came with something to see. */
	atomic_thread_fence(memory_order_seq_cst);
}

unsigned semaphore_drain(sem_t *semaphore, unsigned most)
{
	unsigned taken = 0;

	while (taken < most && semaphore_try(semaphore))
		taken++;
	return taken;
}
