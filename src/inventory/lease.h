/*
 * The kernel's own word that nobody uses a file: a write lease is granted only when no other open
 * file leads to it, in whatever namespace, be it through a descriptor, a mapping or a message under
 * way in a socket. A descriptor of O_PATH does not count.
 *
 * While the lease is held, who opens the file waits for it, or fails with EAGAIN if he will not
 * wait (shm_open never does); so it is taken for an instant only.
 */
#pragma once

#include "shm/shm_file.h"

#include <stddef.h>

/* Who opens a file while a lease of it is held makes the kernel send SIGIO, which ends a process:
 * ignores it. To be called before lease_of. */
void lease_prepare(void);

/* Asks for a lease of an open file, which lasts until it is closed: 0 if nobody else has it open,
 * or an errno as of lease_open. */
int lease_of(int fd);

/*
 * Opens that file below SHM_DIRECTORY and takes the lease; closing the descriptor gives it back. -1
 * with errno: EAGAIN when somebody uses the file, for longer than a look at it takes; ESTALE when
 * the name leads to another one by now; EACCES or EINVAL when the kernel grants us none.
 */
int lease_open(const char *file, struct file_id id);

struct lease_query {
	const char *file;
	struct file_id id;
	int error; /* the answer: 0 if nobody used it, otherwise as lease_open */
};

/* Asks about many files, by several threads, with no lease kept. */
void lease_ask(struct lease_query *queries, size_t count);
