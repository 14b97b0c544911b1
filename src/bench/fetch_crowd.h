/*
 * Several clients at once.
 */
#pragma once

#include "bench/fetch_client.h"
#include "bench/pictures.h"
#include "bench/private_table.h"
#include "bench/session.h"

/* What the processes of a process group need to know; each has its own copy of the rest. */
struct crowd {
	const struct machine *machine;
	const struct served *served;
	const struct pictures *pictures;
	struct decode_job job;
	struct fetch_client client;
	struct private_table table;
	struct shmsem_image held;
};

/* As many clients as there are decoders, each with a copy of the picture, decoded fresh. */
int fetch_measure_crowd(struct bench_session *session, const struct picture *picture,
	unsigned clients, struct error *err);

/* 1, 2, 4 and so on clients that ask for the stored picture, beside as many that look it up in private
 * tables. */
int fetch_measure_stored_crowds(
	struct bench_session *session, const struct picture *picture, struct error *err);

/* The numbers of clients at once: 1, 2, 4 and so on, up to one for each CPU. */
static inline unsigned fetch_next_crowd(unsigned clients, unsigned cpus)
{
	return clients < cpus && 2 * clients > cpus ? cpus : 2 * clients;
}
