/*
 * Helpers: processes that make the calls of a file system which may block. One that hangs, be it for
 * ever and unkillably, is abandoned.
 *
 * The same executable, started anew in a mode that no user calls, makes them: it has no descriptor
 * and no mapping of the server's but the served folder, may only read there, and forks for each
 * socket that it is sent. A helper answers the orders of its socket one by one (SOCK_SEQPACKET, one
 * message a packet) until that closes.
 */
#pragma once

#include "base/error.h"
#include "server/files.h"
#include "server/spawn_self.h"

#include <stdbool.h>
#include <stdint.h>

/* argv[1] of the hidden mode, 1 behind it to go on without seccomp, and the descriptors that it
 * starts with. */
#define HELPER_MODE   "--file-helper"
#define HELPER_SOCKET SPAWN_SELF_FIRST
#define HELPER_FOLDER SPAWN_SELF_SECOND

enum helper_kind {
	HELPER_OPEN, /* open the file, on the folder's own mount: the descriptor */
	HELPER_READ, /* open and read the file: a sealed copy in memory. Both, if it is in a shard
			whose index is not known: that index */
	HELPER_LIST, /* the names in the folder `name`, as listing_read gives them: the same */
};

struct helper_order {
	uint32_t kind;       /* enum helper_kind */
	uint32_t has_known;  /* HELPER_READ: a file of the key `known` need not be read */
	uint64_t number;     /* the answer has the same */
	uint64_t file_bytes; /* of a file at the most; 0: no limit */
	struct file_key known;
	/* If the file is in a shard of the key `shard`, it is so many bytes from there on; a size of 0:
	 * there is nothing to be read. */
	uint32_t has_shard;
	uint32_t indexed; /* that was found out after it was asked for: it will do in any case */
	struct file_key shard;
	uint64_t offset, size;
	uint64_t pause_ns; /* to wait before it is done */
	char name[1032];
};

/* A descriptor comes with it if there is one to give. */
struct helper_answer {
	uint64_t number;
	uint64_t size, mounts; /* HELPER_LIST: bytes of names, mounts among them */
	struct error err;      /* status STATUS_OK, or why not */
	uint32_t is_known;     /* the file has the key `known` */
	int32_t refused;       /* as in struct resolved */
	uint32_t recent, watchable;
	uint32_t indexed; /* the descriptor is the index of the shard */
	uint32_t shard;   /* as in struct resolved */
	struct file_key key;
	uint64_t opened_at; /* as in struct resolved */
	char path[1032];
};

/* Runs until the socket closes; the exit status. */
int helper_main(int argc, char **argv);
