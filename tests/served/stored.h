/* What is stored on the served server, and whether a client finds it without asking. */
#pragma once

#include "served/served.h"

#include <stdint.h>

/* The server of the test. */
extern struct served served;

/* Starts the server with the options of all tests, and stops it, for cmocka. */
int serve_stored(void **state);
int stop_stored(void **state);

/* Whether the kernel can note changes where requesters see them; a test that needs that is skipped
 * otherwise. */
bool has_flag(void);

#define SKIPPED 77 /* to meson; by hand, without arguments, it is said only */

/* An image of one value, as wide as its number says. */
void write_image(const char *name, uint32_t width);

/* On all seats: requests that came, and images that were found without one. */
uint64_t requests(void);
uint64_t found(void);

/* Fetches; whether the server was not asked for it. */
bool fetch_found(const char *name, uint32_t width);

/* Found, having been asked for a few times at the most: an entry may have expired, and what the
 * server no longer watches, it is told of once more. */
void expect_found(const char *name, uint32_t width);

void pause_ns(uint64_t ns);

/* ---- tests of both kinds of index ---- */

/* Each name and each option leads to its image, and none after the image has gone. */
void one_file_under_many_names_and_options(void **state);
void the_table_grows(void **state);
