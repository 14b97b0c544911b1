/*
 * Whose server a requester accepts. Everybody may make objects in /dev/shm, under any name that is free: the
 * owner of HEAD, which the kernel knows, is the only thing that a server cannot say wrongly of itself.
 */
#pragma once

#include "base/error.h"
#include "shm/names.h"

#include <stdbool.h>
#include <sys/types.h>

#define SERVER_USER_VARIABLE "SHMSEM_SERVER_USER"

#define USER_TEXT_SIZE 80

struct server_user {
	bool any; /* everybody's */
	bool own; /* one's own and root's, besides that of `uid` */
	uid_t uid;
};

#define SERVER_USER_OWN ((struct server_user){.own = true, .uid = (uid_t)-1})
#define SERVER_USER_ANY ((struct server_user){.any = true, .uid = (uid_t)-1})

/* That of a user's name, of a uid, or of "any". STATUS_USAGE if there is no such user; `what` stands before that. */
int server_user_parse(
	const char *text, const char *what, struct server_user *ret, struct error *err);

/* One's own and root's, and besides what the environment says. */
int server_user_default(struct server_user *ret, struct error *err);

bool server_user_accepts(const struct server_user *user, uid_t owner);

/* STATUS_NOT_PERMITTED, saying whose the server is and how it is accepted. */
int server_user_refuse(const struct server_user *user, const struct name_space *space, uid_t owner,
	struct error *err);

/* The same of one that is accepted, and whose objects are closed to this user. */
int server_user_shut_out(const struct name_space *space, uid_t owner, struct error *err);
