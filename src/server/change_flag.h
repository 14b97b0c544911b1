/*
 * Whether a descriptor has something to read, found out without a system call.
 *
 * An io_uring polls the descriptor. What makes it readable is noted, in the same moment, in
 * memory that the kernel shares with us: as IORING_SQ_TASKRUN, for a poll that has fired, which
 * stays until change_flag_arm (io_uring_setup(2), IORING_SETUP_DEFER_TASKRUN). So what happened
 * before a moment that we know of is seen at that moment, as read(2) would see it; and nobody is
 * woken.
 *
 * Belongs to the thread that calls change_flag_arm.
 */
#pragma once

#include "base/error.h"
#include "exchange/wire_index.h"

#include <stdbool.h>

struct change_flag;

/* Loads what it is made with; so does change_flag_new, which cannot say why it failed. */
int change_flag_prepare(struct error *err);

/*
 * Polls for `events` of poll(2). With a page of shared memory (Linux 6.5), which must exist and be
 * zeros, other processes that map it see the same. NULL where the kernel, its configuration or this
 * build has no such thing. It says "not clear" until change_flag_arm.
 */
struct change_flag *change_flag_new(int fd, short events, void *page);
struct change_flag *change_flag_free(struct change_flag *flag);

/* What others look at, by offsets from `base`. With a page only. */
struct wire_ring change_flag_ring(const struct change_flag *flag, const void *base);

/* Whether the descriptor has not become readable since change_flag_arm. */
bool change_flag_clear(const struct change_flag *flag);

/* Begins anew; to be called after all there was has been read. What comes in between is noted. False
 * if nothing is noted now. */
bool change_flag_arm(struct change_flag *flag);

/* Whether change_flag_new has a chance here, without a page and with one: 0, or an errno that says
 * why not. */
int change_flag_missing(void);
int change_flag_share_missing(void);
