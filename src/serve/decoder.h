/*
 * The decoder process: the same executable, started anew in a mode that no user calls. It is handed
 * files, decodes them into its data segment and says so; it sees nothing else.
 */
#pragma once

/* argv[1] of the hidden mode, and the descriptors it starts with. argv[2] is the bytes of address
 * space to map. */
#define DECODER_MODE    "--decoder"
#define DECODER_SOCKET  3
#define DECODER_SEGMENT 4

/* Runs until the socket closes; the exit status. */
int decoder_main(int argc, char **argv);
