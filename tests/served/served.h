/*
 * A server in the test's own process, a folder of its own that it serves, and a client. The test's
 * executable is its decoder, too: main() begins with served_main().
 */
#pragma once

#include "server/server.h"
#include "shmsem.h"

#include <stdbool.h>
#include <stddef.h>

struct served {
	char folder[64];
	struct server *server;
	struct shmsem *client;
	int descriptors; /* before the first request */
};

/* Does not come back in a process that was started as a decoder. */
void served_main(int argc, char **argv);

/* One decoder, few limits; to be changed before served_start. */
struct server_options served_options(void);

/* Failures fail the test. */
void served_start(struct served *served, const struct server_options *options);

/* Ends it and removes the folder. False, having said why, if a descriptor, a child or an object is
 * left. */
bool served_stop(struct served *served);

/* The path of a name in the folder; the text is good for three further calls. */
const char *served_path(const struct served *served, const char *name);

/* A file in the folder, in place of what was there. */
void served_write(const struct served *served, const char *name, const void *data, size_t size);

int served_fetch(const struct served *served, const char *name, struct shmsem_image *image,
	struct shmsem_error *error);
