/*
 * The names of /dev/shm that a responder has given to objects of its own, and that it has to take
 * back: by the identity of what it made, never by the name alone.
 */
#pragma once

#include "base/error.h"
#include "shm/names.h"
#include "shm/segment.h"
#include "shm/shm_file.h"

#include <stdbool.h>
#include <stddef.h>

struct published {
	char file[OBJECT_FILE_SIZE];
	enum object_kind kind;
	unsigned index;
	struct file_id id;
	int guard; /* of a semaphore's page or of mapped data (guard.h), or -1 */
};

/* In the order of their making. */
struct published_list {
	struct published *objects;
	unsigned count;
};

/* Room for so many; false when out of memory. */
bool published_init(struct published_list *list, size_t room);
void published_release(struct published_list *list);

/* One more, which base[0..size) is a mapping of: it is guarded. NULL: it is not, or elsewhere. */
void published_add(struct published_list *list, const struct name_space *space,
	enum object_kind kind, unsigned index, struct file_id id, void *base, size_t size);

/* Locks a new segment (life_take), and gives it its name. Guarded if it is mapped and `guarded`. */
int published_segment(struct published_list *list, const struct name_space *space,
	struct segment *segment, enum object_kind kind, unsigned index, bool guarded,
	struct error *err);

/* STATUS_UNAVAILABLE if the name leads to the object no more; else *ret_status is that of its file. */
int published_check(const struct published *object, struct stat *ret_status, struct error *err);

/* Whether a guard was hit. */
bool published_damaged(const struct published_list *list);

/* Unlinks what is of that kind. */
void published_unlink_kind(struct published_list *list, enum object_kind kind);

/* Unlinks all, the last first. */
void published_unlink(struct published_list *list);
