/*
 * A server of bench's own, over a folder of its own, in a namespace of its own.
 */
#pragma once

#include "bench/machine.h"
#include "bench/pictures.h"

#include <shmsem.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct served {
	const struct machine *machine;
	pid_t pid; /* 0: none */
	char space[64];
	char folder[200];
	int lock; /* of the folder, if there is one: it is in use (bench/temporary.h) */
};

struct served_options {
	unsigned decoders, seats;
	uint64_t cache; /* bytes; 0: as the server thinks best */
	int cpu;        /* the server's threads run there once it has started; -1: anywhere */
	bool confined;  /* ... from the start, so that it knows of no other CPU and never spins */
};

/*
 * Writes the pictures into a new folder below $TMPDIR, starts this very executable as a server of
 * it, and waits until it takes requests. It ends when we die. served_stop must follow, also after
 * an error.
 */
int served_start(struct served *served, const struct pictures *pictures,
	const struct served_options *options, const struct machine *machine, struct error *err);

/* Ends the server, and removes the folder. */
void served_stop(struct served *served);

#define AUTO_SERVED __attribute__((cleanup(served_stop)))

/*
 * Connects to it. A client that may run on one CPU only never spins, and rightly so; ours is on a
 * CPU of its own. So this process may run anywhere until it is connected, and is then where it was.
 */
int served_connect(const struct served *served, struct shmsem **ret, struct error *err);

/* Connects from where this process runs; on one CPU that is a client that never spins. */
int served_connect_here(const struct served *served, struct shmsem **ret, struct error *err);

/* Gives a file of it a new time, so that what the server has of it is out of date. */
int served_touch(const struct served *served, const char *name, struct error *err);

/* Fetches an image and gives it back. */
int served_get(struct shmsem *client, const char *name, struct error *err);

/* An error of libshmsem's as one of ours. */
int served_error(const struct shmsem_error *from, struct error *err);

/* CPU time, in ns, that a process has used. */
uint64_t served_process_time(pid_t pid);

/* CPU time, in ns, that the server and its decoders have used; bytes that its data segments have.
 */
uint64_t served_cpu_time(const struct served *served);
uint64_t served_memory(const struct served *served);
