/*
 * What both roles of the classic exchange do with its four objects.
 */
#pragma once

#include "base/clock.h"
#include "exchange/classic.h"
#include "shm/names.h"
#include "shm/segment.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

/* How long one wait lasts before the state is looked at again. */
#define CLASSIC_WAIT_NS (100 * NS_PER_MS)

/* Counts taken out of a semaphore at once; a storm beyond it only costs time. */
#define CLASSIC_STALE_MAX 1000000

struct classic_semaphore {
	sem_t *handle; /* NULL if not open */
	struct file_id id;
	int guard;
};

#define CLASSIC_SEMAPHORE_NONE ((struct classic_semaphore){.guard = -1})

struct classic_objects {
	struct name_space space;
	struct classic_semaphore request, response;
	struct segment head, data;
};

static inline struct classic_objects classic_objects_none(const struct name_space *space)
{
	return (struct classic_objects){
		*space, CLASSIC_SEMAPHORE_NONE, CLASSIC_SEMAPHORE_NONE, SEGMENT_NONE, SEGMENT_NONE};
}

/* The earlier of `deadline` and the end of a wait that starts now. */
uint64_t classic_wait_end(uint64_t deadline);

/*
 * Opens what the name means now, if it is a regular file of ours or root's: one who puts an object
 * of another user there gets neither our pixels nor our trust. STATUS_NOT_FOUND if there is none,
 * or if it is being replaced at this moment; STATUS_NOT_PERMITTED.
 */
int classic_semaphore_open(const struct name_space *space, enum object_kind kind,
	struct classic_semaphore *ret, struct error *err);
int classic_segment_open(const struct name_space *space, enum object_kind kind, size_t reserve,
	struct segment *ret, struct error *err);

/*
 * Makes the segments anew (not mapped) and gets the semaphores, as classic_requester_new says. What
 * there is of them after an error is the caller's to unlink and close, too.
 */
int classic_create(struct classic_objects *objects, const struct access *access, struct error *err);

/* Unlinks those that are open, where their names still mean them. */
void classic_unlink(const struct classic_objects *objects);

/* Closes; the names stay. */
void classic_close(struct classic_objects *objects);

/* Whether the names still mean what is open, and the semaphores are whole. */
bool classic_semaphores_current(const struct classic_objects *objects);
bool classic_segments_current(const struct classic_objects *objects);

/* Makes `bytes` of the segment exist and really there, whatever the peer has left of it. */
int classic_reserve(struct segment *segment, uint64_t bytes, struct error *err);

/* STATUS_BAD_DATA unless the words agree with each other and with `room`, bytes that there are. */
int classic_check(const struct classic_geometry *geometry, uint64_t room, struct error *err);
