/*
 * The proof that a server lives: byte 2^40 is locked, in an object that nobody but its owner can
 * lock.
 *
 * Whom --mode admits can write HEAD and the semaphores, and could lock those of a dead server. Nobody
 * but the server's user can write data segments: where others can write HEAD, the first data segment
 * has the proof. It is there before others can write HEAD.
 */
#pragma once

#include "shm/names.h"
#include "shm/segment.h"
#include "shm/shm_file.h"

/* Whether others than its owner can lock the object. */
bool life_open_to_others(const struct stat *object);

/* Takes the lock that says that we live, on the file of an object of ours, and hides that from children:
 * they would keep it. An errno, or 0. `segment` may be NULL: it is not mapped. */
int life_take(int *fd, const struct segment *segment);

/* Opens (O_RDONLY or O_RDWR) the first data segment, in the place of an object that others can lock. -1 if
 * there is none of the same owner that only that one can lock. */
int life_open(const struct name_space *space, const struct stat *object, int flags);

/* 1 if a server that lives holds this object, 0 if not, -1 with errno if that cannot be known. */
int object_served(const char *file);
