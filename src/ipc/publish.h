/*
 * The objects of a namespace as the responder makes them: HEAD, the semaphores and the data
 * segments, with the locks that prove it alive. What a dead responder left is removed first.
 */
#pragma once

#include "base/error.h"
#include "ipc/names.h"
#include "ipc/seats.h"
#include "ipc/segment.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct publication_options {
	struct name_space space;
	unsigned seats, segments;
	uint64_t reserve; /* bytes of address space for each data segment; whole pages */
	bool map_data;    /* map the data segments for writing */
	uint64_t flags;   /* enum wire_server_flags */
	struct access access;
};

/* An object in /dev/shm that is ours to unlink. */
struct published {
	char file[OBJECT_FILE_SIZE];
	enum object_kind kind;
	unsigned index;
	struct file_id id;
	int guard; /* of a semaphore's page or of mapped data (guard.h), or -1 */
};

struct publication {
	struct publication_options options;
	struct head head;
	int request_lock; /* the file of REQ, locked */
	sem_t *request;
	sem_t **responses;           /* one for each seat */
	struct segment *data;        /* options.segments of them */
	struct published *published; /* what is to be unlinked, in the order of their making */
	unsigned published_count;
};

#define PUBLICATION_NONE ((struct publication){.head = HEAD_NONE, .request_lock = -1})

/* The address space of a data segment when nobody chose: half a gigabyte, or a quarter of what is
 * free where that is less. */
uint64_t publication_default_reserve(void);

/*
 * Creates every object; publication_ready then lets requesters in. A live responder in the
 * namespace is STATUS_TRY_AGAIN, naming its pid. After a failure, too, *publication wants
 * publication_withdraw and publication_release.
 */
int publication_create(struct publication *publication, const struct publication_options *options,
	struct error *err);
void publication_ready(struct publication *publication);

/* Whether the guard (guard.h) was hit in one of the mappings. */
bool publication_damaged(const struct publication *publication);

/* STATUS_UNAVAILABLE if somebody removed HEAD's name. */
int publication_check(const struct publication *publication, struct error *err);

/* Unlinks what still is ours: HEAD came first and goes last. */
void publication_withdraw(struct publication *publication);

/* In a child of fork(): the objects are the parent's, and none of them is mapped here. */
void publication_disown(struct publication *publication);

/* Unmaps and closes everything; the lock goes last, and only then may a successor think that we
 * are gone. Safe on PUBLICATION_NONE. */
void publication_release(struct publication *publication);
