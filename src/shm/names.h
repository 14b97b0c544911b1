/*
 * Namespaces, and the names of the objects that belong to one.
 *
 *	request semaphore     /SEM_<NS>_REQ
 *	response semaphores   /SEM_<NS>_RES, /SEM_<NS>:<k>_RES for seat k > 0
 *	header segment        /SEG_<NS>_HEAD
 *	index segment         /SEG_<NS>_INDEX
 *	data segments         /SEG_<NS>_DATA, /SEG_<NS>:<k>_DATA for decoder k > 0
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define NAMESPACE_MAX      200 /* bytes */
#define NAMESPACE_DEFAULT  "shmsem"
#define NAMESPACE_VARIABLE "SHMSEM_NAMESPACE"

/* An object's name with its slash and terminator: "/SEM_", namespace, ":", number, "_INDEX".
 */
#define OBJECT_NAME_SIZE (5 + NAMESPACE_MAX + 12 + 6 + 1)

/* Semaphores are files of this prefix below SHM_DIRECTORY; segments have the plain name (glibc,
 * sem_open and shm_open). */
#define SHM_DIRECTORY         "/dev/shm"
#define SEMAPHORE_FILE_PREFIX "sem."
#define OBJECT_FILE_SIZE      (OBJECT_NAME_SIZE + sizeof SEMAPHORE_FILE_PREFIX)

struct name_space {
	char text[NAMESPACE_MAX + 1];
};

enum object_kind {
	OBJECT_REQUEST,
	OBJECT_RESPONSE,
	OBJECT_HEAD,
	OBJECT_DATA,
	OBJECT_INDEX,
};

/*
 * Checks a namespace that somebody typed: every '/' becomes '_', then 1 to 200 bytes of
 * [A-Za-z0-9._-]. STATUS_USAGE otherwise, the text escaped in the message. NULL means
 * $SHMSEM_NAMESPACE, else "shmsem".
 */
int namespace_parse(const char *text, struct name_space *ret, struct error *err);

/* The name that sem_open or shm_open takes. `index` is the seat or decoder; HEAD, REQ and INDEX have none
 * (0). */
const char *object_name(const struct name_space *space, enum object_kind kind, unsigned index,
	char name[OBJECT_NAME_SIZE]);

/* The file of the object below SHM_DIRECTORY, without the folder. */
const char *object_file(const struct name_space *space, enum object_kind kind, unsigned index,
	char file[OBJECT_FILE_SIZE]);

/* The reverse of object_file; false for what is not one of ours by name. */
bool object_file_parse(const char *file, struct name_space *ret_space, enum object_kind *ret_kind,
	unsigned *ret_index);
