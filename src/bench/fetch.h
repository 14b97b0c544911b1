/*
 * The hand-off itself: a server and clients of our own over real images.
 */
#pragma once

#include "bench/decode.h"
#include "bench/pictures.h"
#include "bench/session.h"

#include <shmsem.h>

/* Groups that fetch_measure will measure. */
size_t fetch_groups(const struct bench_session *session, const struct pictures *pictures);

/*
 * Empty requests and stored images, hot and with pauses; each picture decoded fresh, beside the
 * same decode in this process; several clients at once; and what a whole process, seats, memory and
 * an idle server cost. Notes every goal. watchdog_begin must have been called.
 */
int fetch_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err);

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

/* Asks for its picture; if fresh, after its file has been touched. */
struct bench_subject fetch_subject(struct fetch_client *client, const char *name);

/* Asks for nothing. */
struct bench_subject ping_subject(struct fetch_client *client);

/* STATUS_BAD_DATA unless the pixels that it gets are those of the same decode in this process. */
int fetch_check_pixels(
	struct fetch_client *client, const struct decode_job *job, struct error *err);

/* What the processes of a process group need to know; each has its own copy of the rest. */
struct crowd {
	const struct machine *machine;
	const struct served *served;
	const struct pictures *pictures;
	struct decode_job job;
	struct fetch_client client;
	struct shmsem_image held;
};

/* For fetch.c: several clients at once (fetch_crowd.c), and all that is not about requests
 * (fetch_resources.c). */
int fetch_measure_crowd(struct bench_session *session, const struct picture *picture,
	unsigned clients, struct error *err);
int fetch_measure_stored_crowds(
	struct bench_session *session, const struct picture *picture, struct error *err);
int fetch_measure_resources(
	struct bench_session *session, const struct pictures *pictures, struct error *err);

/* Groups of fetch_measure_resources. */
#define FETCH_RESOURCE_GROUPS 2

/* The numbers of clients at once: 1, 2, 4 and so on, up to one for each CPU. */
static inline unsigned fetch_next_crowd(unsigned clients, unsigned cpus)
{
	return clients < cpus && 2 * clients > cpus ? cpus : 2 * clients;
}
