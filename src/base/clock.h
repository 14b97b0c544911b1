/*
 * Monotonic time in nanoseconds, and deadlines on it.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND 1000000000ULL
#define NS_PER_MS     1000000ULL
#define NS_PER_US     1000ULL

/* A deadline that never comes. */
#define DEADLINE_NEVER UINT64_MAX

static inline uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* The same, a few ms late and at a fraction of the cost. */
static inline uint64_t clock_coarse(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static inline struct timespec clock_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

/* The moment `timeout_ns` from now; DEADLINE_NEVER stays that. */
static inline uint64_t deadline_after(uint64_t timeout_ns)
{
	uint64_t now = clock_now();

	return timeout_ns > DEADLINE_NEVER - now ? DEADLINE_NEVER : now + timeout_ns;
}

/* A time limit whose clock is first looked at when somebody has to wait: that costs as much as an
 * answer. */
struct timeout {
	uint64_t timeout_ns;
	uint64_t deadline; /* 0: not yet worked out */
};

static inline uint64_t timeout_deadline(struct timeout *timeout)
{
	if (!timeout->deadline)
		timeout->deadline = deadline_after(timeout->timeout_ns);
	return timeout->deadline;
}

/* Milliseconds until `deadline`, rounded up and at most `most`: what poll() takes. */
static inline int deadline_poll_ms(uint64_t deadline, int most)
{
	uint64_t now = clock_now(), left;

	if (deadline <= now)
		return 0;
	left = (deadline - now + NS_PER_MS - 1) / NS_PER_MS;
	return left > (uint64_t)most ? most : (int)left;
}
