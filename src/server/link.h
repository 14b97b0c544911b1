/*
 * The link between the server and a decoder process: messages over a socketpair (SOCK_SEQPACKET,
 * one message a packet), and the server's side of it. The server copies each message before it
 * looks at it and believes only what it has checked.
 *
 *	server				decoder
 *	LINK_DECODE + open file   ->
 *				  <-	LINK_NEED, if the image does not fit into the room offered
 *	LINK_ROOM		  ->
 *				  <-	LINK_DONE
 */
#pragma once

#include "base/error.h"
#include "image/image.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum link_kind {
	LINK_DECODE, /* decode the file into room[0..length), at offset in the decoder's segment */
	LINK_PROBE,  /* only read its header */
	LINK_ROOM,   /* here is the room you need; length 0: there is none, forget the image */
	LINK_NEED,   /* what the header says */
	LINK_DONE,   /* done or failed: status, text */
	LINK_UNFIT,  /* the decoder cannot begin: status, text; then it ends */
	LINK_DIED,   /* the process that was at the image has ended, or is about to: signal, call */
};

struct link_job {
	uint32_t kind; /* LINK_DECODE, LINK_PROBE or LINK_ROOM */
	uint32_t reserved;
	uint64_t number; /* of the image; every later message about it carries it */
	uint64_t offset, length;
	uint64_t file_size;
	uint64_t deadline; /* clock.h; only who decodes in processes of its own looks at it */
	struct image_options options;
	struct image_limits limits;
};

struct link_reply {
	uint32_t kind;   /* LINK_NEED and after */
	uint32_t status; /* enum status */
	int32_t signal;  /* LINK_DIED: that ended it; 0: an exit; -1: the deadline */
	int32_t call;    /* LINK_DIED: the system call that was refused, or -1 */
	uint64_t number;
	struct image_info info;
	char text[ERROR_TEXT_SIZE]; /* an error's sentence, or a warning */
};

/* Bytes that the decoder puts behind the pixels: the colour profile, from the next multiple of this
 * on. */
#define LINK_PROFILE_ALIGN 64

/* The offset of the profile behind `bytes` of pixels, and the bytes that an image needs in all.
 * False if that wraps. */
bool link_layout(const struct image_info *info, uint64_t *ret_profile, uint64_t *ret_total);

/* How decoder processes are to be. */
struct decoder_setup {
	uint64_t reserve;     /* bytes of address space of the segment */
	uint64_t memory;      /* bytes that it may have beside; 0: no limit */
	uint64_t cpu_seconds; /* of processor time for an image of its own; 0: no limit */
	bool isolate;         /* a process for each image */
	bool allow_degraded;  /* as in sandbox.h */
};

/* A decoder process, as the server keeps it. */
struct decoder {
	pid_t pid; /* 0: none is running */
	int pidfd;
	int socket;
	int segment_fd;           /* the data segment it maps; not owned */
	_Atomic uint64_t *starts; /* counts its processes; not owned, NULL for nobody's interest */
	struct decoder_setup setup;
};

#define DECODER_NONE ((struct decoder){.pidfd = -1, .socket = -1, .segment_fd = -1})

/* Starts the process: this executable anew, in its hidden mode, with the socket and the segment and
 * nothing else. */
int decoder_start(struct decoder *decoder, struct error *err);

/* Ends it, however it is, and reaps it. Safe when none is running. */
void decoder_stop(struct decoder *decoder);

/* Called when the image needs more room than was offered, with checked geometry; sets where it is
 * to go. */
typedef int decoder_make_room(void *context, const struct image_info *info, uint64_t bytes,
	uint64_t *ret_offset, uint64_t *ret_length, struct error *err);

struct decoder_job {
	enum link_kind kind; /* LINK_DECODE or LINK_PROBE */
	uint64_t number;
	int file; /* open for reading */
	uint64_t file_size;
	const struct image_options *options;
	const struct image_limits *limits;
	uint64_t offset, length; /* room offered at once; length 0 for none */
	uint64_t timeout_ns;
	decoder_make_room *make_room;
	void *context;
	const atomic_bool *abandon; /* once true, the decoder is ended where it is */
};

struct decoded {
	struct image_info info;
	uint64_t profile; /* offset behind the pixels, from their start */
	uint64_t total;   /* bytes used, profile included */
	char warning[200];
};

/*
 * Has one image decoded. STATUS_BAD_DATA for the image's own faults, its decoder's crash or its
 * time-out included; the sentence names no file. After a crash or a time-out the decoder is stopped
 * and started again; *ret_died says so.
 */
int decoder_run(struct decoder *decoder, const struct decoder_job *job, struct decoded *ret,
	bool *ret_died, struct error *err);

/* ---- what decoder_run is made of, without the processes ---- */

/* How the talk about an image ended. */
enum reply_outcome {
	REPLY_COMPLETE,
	REPLY_DEAD,
	REPLY_LATE,
	REPLY_WRONG,
	REPLY_ABANDONED,
	REPLY_DIED,  /* as it says itself: LINK_DIED */
	REPLY_UNFIT, /* LINK_UNFIT */
};

/*
 * The talk over decoder->socket, from the job to the answer. REPLY_COMPLETE: *ret_status is the
 * image's, and *ret is set if that is STATUS_OK. With another outcome it is set where there was no
 * room, and *reply after REPLY_DIED and REPLY_UNFIT.
 */
enum reply_outcome link_talk(const struct decoder *decoder, const struct decoder_job *job,
	struct link_reply *reply, struct decoded *ret, int *ret_status, struct error *err);

/* The sentence and status of such another outcome; `end` is how the process ended. */
int link_explain(enum reply_outcome outcome, const siginfo_t *end, const struct link_reply *reply,
	uint64_t timeout_ns, struct error *err);
