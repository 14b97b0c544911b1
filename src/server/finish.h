/*
 * The end of a job: its image goes into the store, or its failure, and all who wait are answered.
 * With the store's lock held.
 */
#pragma once

#include "server/internal.h"

/* Of the job that a decoder is at. `decoded` is NULL if it failed, which *err says; `killed`: the
 * image was the end of its decoder. The decoder's state stays as it is. */
void job_finish(struct server *server, unsigned decoder, const struct decoded *decoded, bool killed,
	struct error *err);

/* Lets a job fail that no decoder was given. */
void job_fail(struct server *server, struct job *job, struct error *err);
