/* What is used of liburing. */
#pragma once

#include "dynload/dynload.h"

#include <liburing.h>

#define LIBURING(F)                   \
	F(io_uring_get_events)        \
	F(io_uring_queue_exit)        \
	F(io_uring_queue_init_params) \
	F(io_uring_submit)

struct liburing {
	LIBURING(DYNLOAD_MEMBER)
};

extern struct liburing liburing;

int liburing_load(struct error *err);

#define io_uring_get_events        liburing.io_uring_get_events
#define io_uring_queue_exit        liburing.io_uring_queue_exit
#define io_uring_queue_init_params liburing.io_uring_queue_init_params
#define io_uring_submit            liburing.io_uring_submit
