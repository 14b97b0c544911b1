/* The responder's insides, for the files that it is made of. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "exchange/request.h"
#include "exchange/server_objects.h"
#include "exchange/wait.h"
#include "shmsem.h"

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

struct shmsem_server {
	struct shmsem_serve_options options;
	pid_t owner; /* the process that made it (base/process.h) */
	struct server_objects objects;
	struct arena arena;
	struct placed *placed;
	uint64_t next_number, next_check;
	bool distrust; /* room that is warm by the books may not exist: reserve it again */
	bool cut;      /* the segment was found truncated; the holders of its images must see it */
	struct wait wait;
	struct seat_request asked; /* the request being answered */
	char *names;               /* the list that is being handed out, each name ended by a NUL */
	size_t names_size;
	atomic_bool stopping;
};

struct shmsem_answer {
	struct shmsem_server *server;
	bool listing; /* for shmsem_add_name, else for shmsem_place */
	struct shmsem_info info;
	struct placed *placed;
	char **names;
	size_t names_count, names_room;
};

/* Gives back the room of an image that is in no list. */
void responder_forget(struct shmsem_server *server, struct placed *placed);

/* What is said, and ends the server, once an object was truncated. */
int responder_truncated(struct error *err);

/* Answers to the request in server->turn: each writes the answer, completes it and wakes who
 * waits. */
void responder_answer_text(struct shmsem_server *server, const char *text, size_t length);
void responder_refuse(struct shmsem_server *server, const struct error *failure);
void responder_serve_image(struct shmsem_server *server);
void responder_serve_names(struct shmsem_server *server);
