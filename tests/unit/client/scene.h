/*
 * What the tests of the library share: a folder of images, a real server of it, started by the test
 * (SHMSEM names the program), and a client. Images are RGB; their bytes follow from a seed.
 */
#pragma once

#include "base/clock.h"
#include "exchange/wire.h"
#include "shmsem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TIMEOUT (300 * NS_PER_SECOND)
#define SEATS   6 /* as start_server() says */

struct scene {
	char folder[64], space[64];
	pid_t server;
	struct shmsem *client;
};

/* For cmocka: a.png of seed 1 and b.png of seed 2, a server and a connected client. With one
 * decoder and a store of 16 MiB; or with two, and 1 MiB. */
int set_up(void **state);
int set_up_small(void **state);
int tear_down(void **state);

/* Replaces the file in one step. */
void write_image(const struct scene *scene, const char *name, unsigned seed, uint32_t width,
	uint32_t height);
bool right_pixels(const struct shmsem_image *image, unsigned seed);

void start_server(struct scene *scene, const char *decoders, const char *cache);
void start_server_for(
	struct scene *scene, const char *seats, const char *decoders, const char *cache);
void end_server(struct scene *scene, int signal);

/* Waits until the server is there. */
struct shmsem *connect_to(const struct scene *scene);

/* Opens the server's HEAD; -1 if there is none. */
int scene_head(const struct scene *scene, int flags);
uint64_t counter(const struct scene *scene, enum wire_counter which);

/* The one decoder of a server with -w 1: the last that it started. */
pid_t decoder_of(const struct scene *scene);

/* Stops a process; kill() does not wait until all of its threads have stopped. */
void stop(pid_t pid);

int fetch(struct shmsem *client, const char *name, struct shmsem_image *ret);

/* Fetches an image that must be there, with the pixels of that seed. */
struct shmsem_image fetched(struct shmsem *client, const char *name, unsigned seed);
