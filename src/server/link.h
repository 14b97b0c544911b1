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
	uint64_t file_offset, file_size; /* of the image in its file */
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
	char text[ERROR_TEXT_SIZE]; /* an error message, or a warning */
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

/* How a decoder is, as the server sees it. */
enum decoder_state {
	DECODER_DEAD,       /* there is no process */
	DECODER_STARTING,   /* a process is being made */
	DECODER_IDLE,       /* it waits for an image, or is about to */
	DECODER_HAS_JOB,    /* it has an image: it answers, or says what room it needs */
	DECODER_NEEDS_ROOM, /* room is being made for its image */
	DECODER_HAS_ROOM,   /* it was told where the image is to go: it answers */
	DECODER_NO_ROOM,    /* it was told that there is no room: it says that it has let go */
	DECODER_ENDING,     /* it died or misbehaved: its process is waited for */
};

/* A decoder process, as the server keeps it. */
struct decoder {
	enum decoder_state state;
	pid_t pid; /* 0: none is running */
	int pidfd;
	int socket;
	uint64_t started_at;      /* clock.h */
	int segment_fd;           /* the data segment it maps; not owned */
	_Atomic uint64_t *starts; /* counts its processes; not owned, NULL for nobody's interest */
	struct decoder_setup setup;
	struct link_job message; /* the last one to it */
	uint64_t deadline;       /* when something is to be done about it: see enum decoder_state */
};

#define DECODER_NONE ((struct decoder){.pidfd = -1, .socket = -1, .segment_fd = -1})

/* Starts the process: this executable anew, in its hidden mode, with the socket and the segment and
 * nothing else. `state` is the caller's to set. */
int decoder_start(struct decoder *decoder, struct error *err);

/* If the process has ended: says how, and closes what belongs to it. Does not wait. */
bool decoder_reap(struct decoder *decoder, siginfo_t *ret);

/* The same, waiting for the end until `deadline` at most. */
bool decoder_await_end(struct decoder *decoder, uint64_t deadline, siginfo_t *ret);

/* Ends it, however it is, and reaps it. Safe when none is running. */
void decoder_stop(struct decoder *decoder);

struct decoded {
	struct image_info info;
	uint64_t profile; /* offset behind the pixels, from their start */
	uint64_t total;   /* bytes used, profile included */
	char warning[200];
};

/* What came of a look for an answer. */
enum reply_outcome {
	REPLY_NONE,     /* nothing has come yet */
	REPLY_NEED,     /* the image needs room: link_give_room */
	REPLY_COMPLETE, /* the image is decoded, or has failed */
	REPLY_DEAD,     /* the decoder closed its end */
	REPLY_LATE,     /* its deadline has passed */
	REPLY_WRONG,    /* what it said makes no sense */
	REPLY_ABANDONED,
	REPLY_DIED,  /* as it says itself: LINK_DIED */
	REPLY_UNFIT, /* LINK_UNFIT */
};

/* Hands an idle decoder an image, in a file that is open for reading, with room offered at once if there is
 * some (length), and makes it DECODER_HAS_JOB. False if it could not be told: the next link_receive is
 * REPLY_DEAD. Sets the deadline. */
bool link_ask(struct decoder *decoder, const struct link_job *job, int file, uint64_t timeout_ns);

/* Tells a decoder that asked where its image is to go; length 0: nowhere. */
void link_give_room(struct decoder *decoder, uint64_t offset, uint64_t length);

/*
 * Takes in what the decoder says, without waiting. REPLY_NEED: ret->info and ret->total say how
 * much room; their geometry is checked. REPLY_COMPLETE: *ret_status is the image's, with *err if
 * that is a failure, else with *ret. *reply is for link_explain.
 */
enum reply_outcome link_receive(const struct decoder *decoder, struct link_reply *reply,
	struct decoded *ret, int *ret_status, struct error *err);

/*
 * The error message and status of an image whose decoder neither asked nor answered;
 * STATUS_BAD_DATA for the image's own faults, its decoder's crash or its time-out included. `end`
 * is how the process ended. The message names no file.
 */
int link_explain(enum reply_outcome outcome, const siginfo_t *end, const struct link_reply *reply,
	uint64_t timeout_ns, struct error *err);
