#include "server/change_flag.h"

#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#if HAVE_URING

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 1

struct readiness {
	struct io_uring ring;
	int fd;
	bool asked, enabled; /* the kernel, once; what it said */
	bool armed;
};

/*
 * What a poll that has fired leaves to be done is deferred until its thread asks for it. Without
 * that the kernel wakes the thread up for it, does it whenever the thread comes by, and clears
 * IORING_SQ_TASKRUN afterwards, be it that the poll has begun anew and fired once more by then.
 */
static int open_ring(struct io_uring *ring)
{
	struct io_uring_params parameters = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_R_DISABLED};

	return -io_uring_queue_init_params(ENTRIES, ring, &parameters);
}

/* As io_uring_enable_rings(), which liburing 2.3 declares and has not. The ring becomes this
 * thread's. */
static bool enable(const struct io_uring *ring)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		       0) == 0;
}

struct readiness *change_flag_new(int fd)
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

struct readiness *change_flag_free(struct readiness *readiness)
{
	if (readiness)
		io_uring_queue_exit(&readiness->ring);
	free(readiness);
	return NULL;
}

bool change_flag_clear(const struct readiness *readiness)
{
	/* Whatever was there when it was armed is a completion; what came later is a flag. */
	return readiness->armed &&
	       !(__atomic_load_n(readiness->ring.sq.kflags, __ATOMIC_ACQUIRE) &
		       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) &&
	       !io_uring_cq_ready(&readiness->ring);
}

void change_flag_arm(struct readiness *readiness)
{
	struct io_uring *ring = &readiness->ring;
	int submitted;

	if (!readiness->asked)
		readiness->enabled = enable(ring);
	readiness->asked = true;
	if (!readiness->enabled)
		return;
	if (readiness->armed && io_uring_get_events(ring) < 0)
		return;
	/* One that has not fired, because nothing came, goes on. */
	if (readiness->armed && !io_uring_cq_ready(ring))
		return;
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	/* One that the kernel had no memory for waits here still. */
	if (!io_uring_sq_ready(ring))
		io_uring_prep_poll_add(io_uring_get_sqe(ring), readiness->fd, POLLIN);
	submitted = io_uring_submit(ring);
	readiness->armed = submitted == 1;
	/* What is not allowed is not asked for again and again. */
	if (submitted == -EPERM || submitted == -EACCES || submitted == -ENOSYS)
		readiness->enabled = false;
}

int change_flag_missing(void)
{
	struct io_uring ring;
	int failed = open_ring(&ring);

	if (failed)
		return failed;
	if (!enable(&ring))
		failed = errno;
	io_uring_queue_exit(&ring);
	return failed;
}

#else

struct readiness *change_flag_new(int fd)
{
	(void)fd;
	return NULL;
}

struct readiness *change_flag_free(struct readiness *readiness)
{
	(void)readiness;
	return NULL;
}

bool change_flag_clear(const struct readiness *readiness)
{
	(void)readiness;
	return false;
}

void change_flag_arm(struct readiness *readiness)
{
	(void)readiness;
}

int change_flag_missing(void)
{
	return ENOSYS;
}

#endif
