/*
 * What a decoder does with one image, whether it is in a process for many or for one.
 */
#pragma once

#include "server/link.h"

#include <stdbool.h>
#include <stdint.h>

struct decoder_context {
	struct decoder_setup setup;
	struct image_reader *reader;
	uint8_t *segment; /* the data segment, mapped whole; NULL if each image has its own map */
	uint8_t *file;    /* the bytes of the image file */
	size_t room;      /* of `file` */
};

/* One message, and the file that may come with it; -1 in *ret_file if none did. False when the
 * server has gone. */
bool job_receive(struct link_job *ret, int *ret_file);
bool job_send(const struct link_reply *reply);

/* Reads the job's part of the file into `state`. It may be growing or shrinking meanwhile: the
 * server compares its key afterwards. */
int job_read(
	struct decoder_context *state, int file, const struct link_job *job, struct error *err);

/*
 * Reads the header and, if the room of the job will do, decodes into `room`. Fills in the reply:
 * LINK_NEED if there is too little room, else LINK_DONE. `room` is NULL where there is none yet.
 */
void job_work(struct decoder_context *state, const struct link_job *job, uint8_t *room,
	struct link_reply *reply);

/* Gives back the memory that a large file took. */
void job_forget_file(struct decoder_context *state);

/* One image, in a process of its own, from its first message to the answer; false when the server
 * has gone. */
bool isolate_handle(struct decoder_context *state, struct link_job *job, int file);
