/*
 * The CPU time that a fresh decode costs on both sides together.
 */
#pragma once

#include "bench/fetch_client.h"
#include "bench/session.h"

/*
 * Fetches the picture of a fresh client, and reads and decodes its file in this process, in turn;
 * notes by how much the CPU time of client, server and decoder together exceeds that of this process
 * alone.
 */
int fetch_measure_cpu(struct bench_session *session, struct fetch_client *client,
	struct decode_job *job, struct error *err);
