/*
 * The decoder process: the same executable, started anew in a mode that no user calls. It is handed
 * files, decodes them into its data segment and says so; it sees nothing else.
 */
#pragma once

#include "server/spawn_self.h"

/*
 * argv[1] of the hidden mode, the numbers that follow it (bytes of address space to map, bytes of
 * memory beside, seconds of processor time for an image in a process of its own, flags), and the
 * descriptors that it starts with.
 */
#define DECODER_MODE    "--decoder"
#define DECODER_NUMBERS 4
#define DECODER_SOCKET  SPAWN_SELF_FIRST
#define DECODER_SEGMENT SPAWN_SELF_SECOND

enum decoder_flags {
	DECODER_ISOLATE = 1 << 0,        /* a process for each image */
	DECODER_ALLOW_DEGRADED = 1 << 1, /* as in sandbox.h */
};

/* Runs until the socket closes; the exit status. */
int decoder_main(int argc, char **argv);
