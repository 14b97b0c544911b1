/*
 * DIR may be a tar shard itself. Then the folder that it is in is served, and of that only this shard:
 * inside the server all names begin with the shard's, which requesters neither write nor see.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct within {
	size_t length;    /* of the prefix; 0: DIR is a folder */
	char prefix[260]; /* the shard's name and a '/' */
	char shown[1040]; /* as error messages have it */
};

/* Opens DIR, or the folder of a shard. */
int within_open(const char *directory, struct within *ret, int *ret_folder, struct error *err);

/* Makes a requester's name, in a buffer of `size` bytes, the server's; false if it does not fit. */
bool within_enter(const struct within *within, char *name, size_t size);

/* Takes the shard's name out of a message that begins with it. */
void within_hide(const struct within *within, struct error *err);
