/*
 * The objects that one namespace has in /dev/shm at a moment.
 */
#pragma once

#include "base/error.h"
#include "shm/shm_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct leftover {
	char file[OBJECT_FILE_SIZE];
	enum object_kind kind;
	unsigned index;
	struct stat status;
};

struct leftovers {
	struct leftover *items;
	size_t count;
};

#define AUTO_LEFTOVERS __attribute__((cleanup(leftovers_release)))

int leftovers_find(const struct name_space *space, struct leftovers *ret, struct error *err);
void leftovers_release(struct leftovers *leftovers);

/* Whether the HEAD among them is this file. */
bool leftovers_head_is(const struct leftovers *leftovers, struct file_id id);
