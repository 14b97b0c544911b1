#include "server/change_flag.h"

#include "base/process.h"
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#if HAVE_URING

#include "dynload/liburing.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 1

/* Linux 6.5: the rings are in memory of the program. */
#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP (1U << 14)
#endif

_Static_assert(WIRE_RING_NOTED == (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW), "wire layout");

struct change_flag {
	struct io_uring ring;
	uint8_t *page; /* with the rings; NULL: the kernel's own */
	void *entries; /* a page for what is submitted, with `page` */
	int fd;
	short events;
	bool asked, enabled; /* the kernel, once; what it said */
	bool armed;
};

/*
 * What a poll that has fired leaves to be done is deferred until its thread asks for it. Without
 * that the kernel wakes the thread up for it, does it whenever the thread comes by, and clears
 * IORING_SQ_TASKRUN afterwards, be it that the poll has begun anew and fired once more by then.
 */
#define SETUP                                                                                  \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG | \
		IORING_SETUP_R_DISABLED)

static int open_ring(struct io_uring *ring)
{
	struct io_uring_params parameters = {.flags = SETUP};

	return -io_uring_queue_init_params(ENTRIES, ring, &parameters);
}

/* Where the kernel is told that memory is: the last eight bytes of the offsets, which have had a
 * name since Linux 6.5. */
static void set_address(void *offsets, size_t size, const void *memory)
{
	uint64_t address = (uintptr_t)memory;

	memcpy((uint8_t *)offsets + size - sizeof address, &address, sizeof address);
}

/* The ring in that page, which liburing 2.3 cannot make but can use. 0, or an errno. */
static int open_shared(struct io_uring *ring, uint8_t *page, void *entries)
{
	struct io_uring_params parameters = {.flags = SETUP | IORING_SETUP_NO_MMAP};
	const struct io_sqring_offsets *sq = &parameters.sq_off;
	const struct io_cqring_offsets *cq = &parameters.cq_off;
	int fd;

	set_address(&parameters.sq_off, sizeof parameters.sq_off, entries);
	set_address(&parameters.cq_off, sizeof parameters.cq_off, page);
	fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &parameters);
	if (fd < 0)
		return errno;
	*ring = (struct io_uring){.ring_fd = fd,
		.enter_ring_fd = fd,
		.flags = parameters.flags,
		.features = parameters.features};
	ring->sq.khead = (unsigned *)(void *)(page + sq->head);
	ring->sq.ktail = (unsigned *)(void *)(page + sq->tail);
	ring->sq.kflags = (unsigned *)(void *)(page + sq->flags);
	ring->sq.kdropped = (unsigned *)(void *)(page + sq->dropped);
	ring->sq.array = (unsigned *)(void *)(page + sq->array);
	ring->sq.sqes = entries;
	ring->sq.ring_entries = parameters.sq_entries;
	ring->sq.ring_mask = parameters.sq_entries - 1;
	ring->cq.khead = (unsigned *)(void *)(page + cq->head);
	ring->cq.ktail = (unsigned *)(void *)(page + cq->tail);
	ring->cq.koverflow = (unsigned *)(void *)(page + cq->overflow);
	ring->cq.cqes = (struct io_uring_cqe *)(void *)(page + cq->cqes);
	ring->cq.ring_entries = parameters.cq_entries;
	ring->cq.ring_mask = parameters.cq_entries - 1;
	return 0;
}

/* As io_uring_enable_rings(), which liburing 2.3 declares and has not. The ring becomes this
 * thread's. */
static bool enable(const struct io_uring *ring)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL,
		       0) == 0;
}

int change_flag_prepare(struct error *err)
{
	return liburing_load(err);
}

struct change_flag *change_flag_new(int fd, short events, void *page)
{
	struct change_flag *flag = NULL;
	int failed;

	if (fd >= 0 && !liburing_load(NULL))
		flag = calloc(1, sizeof *flag);
	if (!flag)
		return NULL;
	flag->fd = fd;
	flag->events = events;
	flag->page = page;
	if (page) {
		flag->entries = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		failed = flag->entries == MAP_FAILED
				 ? errno
				 : open_shared(&flag->ring, page, flag->entries);
		if (failed && flag->entries != MAP_FAILED)
			munmap(flag->entries, page_size());
	} else {
		failed = open_ring(&flag->ring);
	}
	if (!failed)
		return flag;
	free(flag);
	return NULL;
}

struct change_flag *change_flag_free(struct change_flag *flag)
{
	if (!flag)
		return NULL;
	if (flag->page) {
		close(flag->ring.ring_fd);
		munmap(flag->entries, page_size());
	} else {
		io_uring_queue_exit(&flag->ring);
	}
	free(flag);
	return NULL;
}

struct wire_ring change_flag_ring(const struct change_flag *flag, const void *base)
{
	const uint8_t *start = base;
	const struct io_uring *ring = &flag->ring;

	return (struct wire_ring){.flags = (uint32_t)((const uint8_t *)ring->sq.kflags - start),
		.head = (uint32_t)((const uint8_t *)ring->cq.khead - start),
		.tail = (uint32_t)((const uint8_t *)ring->cq.ktail - start),
		.mark = (uint32_t)(flag->page + WIRE_PAGE - sizeof(struct wire_ring_mark) - start)};
}

bool change_flag_clear(const struct change_flag *flag)
{
	/* Whatever was there when it was armed is a completion; what came later is a flag. */
	return flag->armed &&
	       !(__atomic_load_n(flag->ring.sq.kflags, __ATOMIC_ACQUIRE) &
		       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) &&
	       !io_uring_cq_ready(&flag->ring);
}

bool change_flag_arm(struct change_flag *flag)
{
	struct io_uring *ring = &flag->ring;
	int submitted;

	if (!flag->asked)
		flag->enabled = enable(ring);
	flag->asked = true;
	if (!flag->enabled)
		return false;
	if (flag->armed && io_uring_get_events(ring) < 0)
		return false;
	/* One that has not fired, because nothing came, goes on. */
	if (flag->armed && !io_uring_cq_ready(ring))
		return true;
	io_uring_cq_advance(ring, io_uring_cq_ready(ring));
	/* One that the kernel had no memory for waits here still. */
	if (!io_uring_sq_ready(ring))
		io_uring_prep_poll_add(
			io_uring_get_sqe(ring), flag->fd, (unsigned short)flag->events);
	submitted = io_uring_submit(ring);
	flag->armed = submitted == 1;
	/* What is not allowed is not asked for again and again. */
	if (submitted == -EPERM || submitted == -EACCES || submitted == -ENOSYS)
		flag->enabled = false;
	return flag->armed;
}

int change_flag_missing(void)
{
	struct io_uring ring;
	int failed = liburing_load(NULL) ? ELIBACC : open_ring(&ring);

	if (failed)
		return failed;
	if (!enable(&ring))
		failed = errno;
	io_uring_queue_exit(&ring);
	return failed;
}

int change_flag_share_missing(void)
{
	size_t page = page_size();
	uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct io_uring ring;
	int failed;

	if (memory == MAP_FAILED)
		return errno;
	failed = open_shared(&ring, memory, memory + page);
	if (!failed)
		close(ring.ring_fd);
	munmap(memory, 2 * page);
	return failed;
}

#else

int change_flag_prepare(struct error *err)
{
	(void)err;
	return STATUS_OK;
}

struct change_flag *change_flag_new(int fd, short events, void *page)
{
	(void)fd, (void)events, (void)page;
	return NULL;
}

struct change_flag *change_flag_free(struct change_flag *flag)
{
	(void)flag;
	return NULL;
}

struct wire_ring change_flag_ring(const struct change_flag *flag, const void *base)
{
	(void)flag, (void)base;
	return (struct wire_ring){0};
}

bool change_flag_clear(const struct change_flag *flag)
{
	(void)flag;
	return false;
}

bool change_flag_arm(struct change_flag *flag)
{
	(void)flag;
	return false;
}

int change_flag_missing(void)
{
	return ENOSYS;
}

int change_flag_share_missing(void)
{
	return ENOSYS;
}

#endif
