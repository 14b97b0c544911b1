/*
 * The hand-off over every mechanism that the system has: a requester sends a word, a responder
 * answers with the payload, the requester reads the payload once.
 *
 * Each mechanism is a value in the file of its family. Requester and responder are two processes.
 */
#pragma once

#include "base/error.h"
#include "bench/session.h"
#include "bench/watchdog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transport;

/* Makes a payload of `size` bytes, valid until the next is made. */
typedef int payload_make(
	void *context, size_t size, const uint8_t **ret_payload, struct error *err);

/* One mechanism at one size; both processes have one, made before the fork. */
struct channel {
	const struct transport *transport;
	void *state;     /* state_size bytes, zero at first, the mechanism's own */
	size_t size;     /* of the payload */
	char name[48];   /* a stem for names of objects that no one else uses */
	bool requester;  /* this is the requester's side */
	uint8_t *buffer; /* requester: where to receive, `size` + BUFFER_SLACK bytes */
	uint8_t *source; /* responder: the payload to send. A mechanism that hands it over in place
			    sets this in join, to where it lies; else it is private memory */
	uint64_t word;   /* of the last request, counted on both sides */
	struct watchdog watchdog;

	/* Not NULL: where the mechanism allows for it, the responder makes each payload anew, as
	 * the same bytes each time, instead of sending `source`. */
	payload_make *make;
	void *make_context;

	/* What the requester makes of the payload, see channel_consume. */
	const uint8_t *expected; /* not NULL: compare byte for byte with this */
	uint64_t sum;
	size_t consumed;
	bool wrong;
};

/* How much longer than the payload channel->buffer is, for queues that want room for a whole
 * message. */
#define BUFFER_SLACK 65536

struct transport {
	const char *name;
	const char *summary; /* one line for --list */
	size_t state_size;
	size_t piece; /* what the mechanism takes at once, if less than any payload; 0: any */

	/* Makes the objects, in the requester, before there is a responder. */
	int (*create)(struct channel *channel, struct error *err);
	/* Opens and maps them, in each process. */
	int (*join)(struct channel *channel, struct error *err);
	/* Removes what is visible outside of the two processes and no longer needed once both have
	 * joined; also after create or join failed. May be NULL. */
	void (*hide)(struct channel *channel);
	/* Removes what could not be hidden; in the requester at the end, or in the responder if the
	 * requester is dead. May be NULL. */
	void (*remove)(struct channel *channel);
	/* Closes and unmaps, in the requester. What was not opened is left alone. */
	void (*leave)(struct channel *channel);

	/* Requester: sends channel->word, waits, hands the payload to channel_consume. */
	int (*ask)(struct channel *channel, struct error *err);
	/* Responder: waits for a word, which channel_expect checks, and sends the payload. */
	int (*answer)(struct channel *channel, struct error *err);

	/* Those in shared memory use shared_ask and shared_answer (shared.h), and have: */
	int (*post)(struct channel *channel, bool response, struct error *err);
	int (*wait)(struct channel *channel, bool response, struct error *err);
	bool copies; /* the responder copies the payload in; else it is there already */
};

/* All of them; the first is the limit that the others are compared with. Ends with NULL. */
extern const struct transport *const transports[];

/* The mechanism of that name, or NULL. */
const struct transport *transport_find(const char *name);

/*
 * Measures `count` mechanisms at one size in turn, after each has been checked byte for byte, with
 * the responder where the session's machine has it. watchdog_begin must have been called.
 */
int transport_measure(struct bench_session *session, const struct transport *const *chosen,
	size_t count, size_t size, struct error *err);

/* A mechanism at one size, as a subject to be measured beside others: a channel and the responder
 * behind it, already checked byte for byte. */
struct transport_pair;

int transport_pair_new(const struct transport *transport, size_t size, int responder_cpu,
	struct transport_pair **ret, struct error *err);
/* The classic exchange, with a responder that makes each payload anew. `context` is the caller's in
 * the requester and a copy in the responder. */
int transport_pair_new_making(size_t size, int responder_cpu, payload_make *make, void *context,
	struct transport_pair **ret, struct error *err);
struct transport_pair *transport_pair_free(struct transport_pair *pair);

static inline void cleanup_transport_pair(struct transport_pair **pair)
{
	*pair = transport_pair_free(*pair);
}

#define AUTO_TRANSPORT_PAIR __attribute__((cleanup(cleanup_transport_pair)))

struct bench_subject transport_pair_subject(struct transport_pair *pair);

/* For the mechanisms: */

/* A call that was `what` failed with errno: STATUS_OK if it is to be made again. */
int channel_again(struct channel *channel, const char *what, struct error *err);

/* Whole reads and writes that end when the other side does. */
int channel_read(struct channel *channel, int fd, void *buffer, size_t size, struct error *err);
int channel_write(
	struct channel *channel, int fd, const void *buffer, size_t size, struct error *err);

/* The requester reads the next bytes of the payload, once. All pieces but the last are multiples of
 * 8 bytes. */
void channel_consume(struct channel *channel, const void *data, size_t size);

/* The responder has received this word: the one that follows the last? */
int channel_expect(struct channel *channel, uint64_t word, struct error *err);

/* A payload in which every word differs from every other, and from that of another seed; and the
 * sum that channel_consume makes of one. */
void payload_fill(uint8_t *payload, size_t size, uint64_t seed);
uint64_t payload_sum(const uint8_t *data, size_t size);
