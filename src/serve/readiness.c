#include "serve/readiness.h"

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#if HAVE_URING

#include <liburing.h>

#define ENTRIES 2

struct readiness {
	struct io_uring ring;
	int fd;
	bool armed;
};

static int open_ring(struct io_uring *ring)
{
	struct io_uring_params parameters = {
		.flags = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG};

	return -io_uring_queue_init_params(ENTRIES, ring, &parameters);
}

struct readiness *readiness_new(int fd)
{
	struct readiness *readiness = fd >= 0 ? calloc(1, sizeof *readiness) : NULL;

	if (!readiness)
		return NULL;
	if (open_ring(&readiness->ring)) {
		free(readiness);
		return NULL;
	}
	readiness->fd = fd;
	return readiness;
}

struct readiness *readiness_free(struct readiness *readiness)
{
	if (readiness)
		io_uring_queue_exit(&readiness->ring);
	free(readiness);
	return NULL;
}

bool readiness_clear(const struct readiness *readiness)
{
	/* In this order: should an interrupt turn the one into the other in between, it is seen. */
	return readiness->armed &&
	       !(__atomic_load_n(readiness->ring.sq.kflags, __ATOMIC_ACQUIRE) &
		       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) &&
	       !io_uring_cq_ready(&readiness->ring);
}

void readiness_arm(struct readiness *readiness)
{
	struct io_uring *ring = &readiness->ring;
	struct io_uring_sqe *entry;

	if (readiness->armed && io_uring_get_events(ring) < 0)
		return;
	/* One that has not fired, because nothing came, goes on. */
	if (readiness->armed && !io_uring_cq_ready(ring))
		return;
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	entry = io_uring_get_sqe(ring);
	if (entry)
		io_uring_prep_poll_add(entry, readiness->fd, POLLIN);
	readiness->armed = entry && io_uring_submit(ring) == 1;
}

int readiness_missing(void)
{
	struct io_uring ring;
	int failed = open_ring(&ring);

	if (!failed)
		io_uring_queue_exit(&ring);
	return failed;
}

#else

struct readiness *readiness_new(int fd)
{
	(void)fd;
	return NULL;
}

struct readiness *readiness_free(struct readiness *readiness)
{
	(void)readiness;
	return NULL;
}

bool readiness_clear(const struct readiness *readiness)
{
	(void)readiness;
	return false;
}

void readiness_arm(struct readiness *readiness)
{
	(void)readiness;
}

int readiness_missing(void)
{
	return ENOSYS;
}

#endif
