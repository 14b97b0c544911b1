/*
 * A client of the bench's own server, as a subject to measure.
 */
#pragma once

#include "bench/decode.h"
#include "bench/engine.h"

#include <shmsem.h>

#include <stdbool.h>

struct served;

/* A client that asks for one thing over and over. */
struct fetch_client {
	const struct served *served;
	struct shmsem *client;
	char name[64];
	bool fresh; /* must be decoded for us; else must have been stored */
};

int fetch_client_init(struct fetch_client *client, const struct served *served, const char *name,
	bool fresh, struct error *err);
void fetch_client_release(struct fetch_client *client);

#define AUTO_FETCH_CLIENT __attribute__((cleanup(fetch_client_release)))

/* Asks for its picture; if fresh, after its file has been touched. */
struct bench_subject fetch_subject(struct fetch_client *client, const char *name);

/* Asks for nothing. */
struct bench_subject ping_subject(struct fetch_client *client);

/* STATUS_BAD_DATA unless the pixels that it gets are those of the same decode in this process. */
int fetch_check_pixels(
	struct fetch_client *client, const struct decode_job *job, struct error *err);
