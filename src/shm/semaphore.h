/*
 * POSIX named semaphores, opened with care. They are hints here: every wait is bounded, and a process
 * that wakes up looks at the state in shared memory.
 */
#pragma once

#include "base/error.h"
#include "base/process.h"
#include "shm/shm_file.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Makes the semaphore `name` ("/SEM_...") with value 0, whole and at once (sem_open would leave a
 * stray file when killed half-way). STATUS_TRY_AGAIN with os_error EEXIST if the name is taken.
 * ret_id is that of its file.
 */
int semaphore_create(
	const char *name, const struct access *access, struct file_id *ret_id, struct error *err);

/*
 * The same in two steps, for who locks the file before anybody can see it: *ret_fd is to be closed.
 * The name that will be its own is for error messages at first.
 */
int semaphore_new(const char *name, const struct access *access, int *ret_fd, struct error *err);
int semaphore_publish(int fd, const char *name, struct file_id *ret_id, struct error *err);

/*
 * Opens an existing semaphore. sem_open() would not do: it dies of SIGBUS on a file that is too
 * short, and its descriptor may be a closed standard output. STATUS_NOT_FOUND if there is none,
 * STATUS_BAD_DATA if it is no semaphore. Close it with semaphore_close(), not sem_close().
 */
int semaphore_open(const char *name, sem_t **ret, struct error *err);
void semaphore_close(sem_t *semaphore);

/* The page that a semaphore lies in. */
static inline void *semaphore_page(sem_t *semaphore)
{
	return (void *)((uintptr_t)semaphore & ~(uintptr_t)(page_size() - 1));
}

/* Posts and wakes one who sleeps, at SEM_VALUE_MAX too. */
void semaphore_post(sem_t *semaphore);

/* Wakes one who sleeps, should the semaphore have lost count of who does. */
void semaphore_wake(sem_t *semaphore);

/* Takes a token if there is one, without waiting. */
bool semaphore_try(sem_t *semaphore);

/* Waits for a token until `deadline` (clock.h); false if it came first, or if somebody has cut the
 * semaphore's file off (where guard.h guards it). Signals do not end the wait. */
bool semaphore_wait(sem_t *semaphore, uint64_t deadline);

/* Takes all tokens away, were they two thousand million. Only for the thread that waits on it, when
 * it does not; a post at the same moment may be lost. */
void semaphore_reset(sem_t *semaphore);

/* Takes at most `most` tokens that nobody has asked for; how many there were. */
unsigned semaphore_drain(sem_t *semaphore, unsigned most);
