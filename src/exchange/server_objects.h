/*
 * The objects of a namespace as the responder makes them: HEAD, the semaphores and the data
 * segments, with the locks that prove it alive. What a dead responder left is removed first.
 */
#pragma once

#include "base/error.h"
#include "exchange/head.h"
#include "exchange/index.h"
#include "exchange/published.h"
#include "shm/names.h"
#include "shm/segment.h"

#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

struct server_objects_options {
	struct name_space space;
	unsigned seats, segments;
	size_t page;            /* of HEAD; 0: the system's */
	uint64_t reserve;       /* bytes of address space for each data segment; whole pages */
	uint64_t index_entries; /* a power of two; 0: no index */
	uint64_t index_reserve; /* bytes of address space for it; 0: it does not grow */
	unsigned index_rings;
	bool map_data;        /* map the data segments for writing */
	uint64_t flags;       /* enum wire_server_flags */
	struct access access; /* users who may not write get nothing */
};

struct server_objects {
	struct server_objects_options options;
	struct head head;
	int request_lock; /* the file of REQ, locked */
	sem_t *request;
	sem_t **responses;    /* one for each seat */
	struct segment *data; /* options.segments of them */
	struct index index;
	uint64_t index_number;           /* of the last INDEX */
	struct published_list published; /* HEAD is the first */
};

#define SERVER_OBJECTS_NONE \
	((struct server_objects){.head = HEAD_NONE, .request_lock = -1, .index = INDEX_NONE})

/*
 * Creates every object; server_objects_ready then lets requesters in. A live responder in the
 * namespace is STATUS_TRY_AGAIN, naming its pid. After a failure, too, *server_objects wants
 * server_objects_withdraw and server_objects_release.
 */
int server_objects_create(struct server_objects *server_objects,
	const struct server_objects_options *options, struct error *err);
/* Opens HEAD to those whom its mode admits: before, they can only read it. */
int server_objects_ready(struct server_objects *server_objects, struct error *err);

/* Whether the guard (guard.h) was hit in one of the mappings. */
bool server_objects_damaged(const struct server_objects *server_objects);

/* STATUS_UNAVAILABLE if somebody removed the name of HEAD, which was made. */
int server_objects_check(const struct server_objects *server_objects, struct error *err);

/* Unlinks what still is ours: HEAD came first and goes last. */
void server_objects_withdraw(struct server_objects *server_objects);

/* In a child of fork(): the objects are the parent's, and none of them is mapped here. */
void server_objects_disown(struct server_objects *server_objects);

/* Unmaps and closes everything; the lock goes last, and only then may a successor think that we
 * are gone. Safe on SERVER_OBJECTS_NONE. */
void server_objects_release(struct server_objects *server_objects);
