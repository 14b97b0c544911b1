/*
 * What a decoder process gives up before it looks at a byte of anybody's file: descriptors,
 * resources, privileges, the file system and the network (Landlock), and nearly every system call
 * (seccomp). None of it can be taken back.
 *
 * What needs more is done before: mapping the data segment, reading locale or configuration.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sandbox_profile {
	SANDBOX_POOL,    /* image after image: takes files from its socket and answers there */
	SANDBOX_ISOLATE, /* one image: no descriptor at all, memory and the end are all it can ask
			  * for
			  */
	SANDBOX_HELPER,  /* for helper.c: opens and reads files, copies them into memory,
			  * forks. What else it calls is refused, not deadly */
};

/* At most so many calls are allowed. */
#define SANDBOX_POOL_CALLS    16
#define SANDBOX_ISOLATE_CALLS 4

struct sandbox {
	enum sandbox_profile profile;
	int link;             /* SANDBOX_POOL: the socket, the only descriptor that stays open */
	uint64_t memory;      /* bytes of address space beyond what is mapped now; 0: no limit */
	uint64_t cpu_seconds; /* of processor time, in all; 0: no limit */
	bool allow_degraded;  /* go on where the kernel has no seccomp */
	/*
	 * Told the number of the system call that was refused, in a signal handler, with nothing
	 * but the allowed calls. The call was not made, and the process dies of SIGSYS when this
	 * returns or tries another. NULL: it dies at once.
	 */
	void (*refused)(int call);
};

/* What the kernel, or this build, does not offer. */
enum sandbox_missing {
	SANDBOX_NO_LANDLOCK = 1 << 0,
	SANDBOX_NO_SECCOMP = 1 << 1,
};

/* Loads what the sandbox is made with. sandbox_enter() does so, too, but a fork does not then have to. */
int sandbox_prepare(struct error *err);

/* What sandbox_enter() would have to do without; asks without changing anything. */
unsigned sandbox_missing(void);

/*
 * Enters. The process must have a single thread. On failure the process is in an undefined place
 * between outside and inside, and must end: STATUS_INTERNAL for what the kernel lacks (seccomp,
 * without allow_degraded) or refuses. *ret_missing is a set of enum sandbox_missing.
 */
int sandbox_enter(const struct sandbox *how, unsigned *ret_missing, struct error *err);

/* Whether the profile lets this system call through, at least with some arguments. */
bool sandbox_allows(enum sandbox_profile profile, int call);

/* "openat", or "number 1234" for what has no name here. */
#define SANDBOX_CALL_NAME_SIZE 40
const char *sandbox_call_name(int call, char name[SANDBOX_CALL_NAME_SIZE]);
