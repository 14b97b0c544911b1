/* The responder's insides, for the files that it is made of. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "exchange/request.h"
#include "exchange/server_objects.h"
#include "exchange/serving.h"
#include "shmsem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An image that was handed out, for as long as somebody may hold it. */
struct placed {
	struct placed *next;
	struct extent *extent;
	uint64_t number;
};

/* An image that is kept under a name. */
struct kept {
	struct kept *next; /* in its bucket */
	struct placed *placed;
	struct shmsem_info info;
	char name[]; /* terminated */
};

struct shmsem_answer {
	struct shmsem_server *server;
	bool listing; /* for shmsem_add_name, else for shmsem_place */
	struct shmsem_info info;
	struct placed *placed;
	char **names;
	size_t names_count, names_room;
};

struct shmsem_server {
	struct shmsem_serve_options options;
	pid_t owner; /* the process that made it (base/process.h) */
	struct server_objects objects;
	/* Room, what is kept, and the index: frames are published from any thread. Not held while a
	 * callback runs. */
	pthread_mutex_t lock;
	struct arena arena;
	struct placed *placed;
	uint64_t next_number, next_check;
	bool distrust; /* room that is backed by the books may not exist: reserve it again */
	/* The segment was found truncated; the holders of its images must see it. */
	atomic_bool cut;
	struct serving serving;
	struct seat_request received; /* the request being answered */
	char *names; /* the list that is being handed out, each name ended by a NUL */
	size_t names_size;
	struct shmsem_answer prepared; /* what shmsem_prepare began */
	struct kept **kept;            /* options.kept buckets of what is kept, */
	size_t kept_count;             /* and how many there are */
	atomic_bool stopping;
};

/* False in a child of fork(), where nothing of it is mapped: then *err (may be NULL) says so. */
bool responder_is_ours(const struct shmsem_server *server, struct error *err);

/* Gives back the room of an image that is in no list. This and what follows, up to the answers, with
 * the lock held. */
void responder_forget(struct shmsem_server *server, struct placed *placed);

/* Gives back the room of an image that was handed out, once nobody holds it any more. */
void responder_leave(struct shmsem_server *server, struct placed *placed);

/* Room for an image of that geometry, which is checked: *answer has it then. */
int responder_place(struct shmsem_answer *answer, const struct shmsem_info *info, void **ret_pixels,
	void **ret_icc, struct error *err);

/* The answer that says what was made. */
void responder_image_answer(
	const struct shmsem_answer *made, struct wire_answer *ret, uint64_t ret_words[4]);

/* What is kept under a name; NULL if it is not. */
const struct kept *responder_kept(const struct shmsem_server *server, const char *name);
void responder_kept_release(struct shmsem_server *server);

/* What is said, and ends the server, once an object was truncated. */
int responder_truncated(struct error *err);

/* Answer a request: what `serving` calls with the server. */
void responder_serve_image(void *server, struct seat_request *received);
void responder_serve_names(void *server, struct seat_request *received);
