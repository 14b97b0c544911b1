/* What shmsem serve can be told, and what a server is started with then. */
#pragma once

#include "base/error.h"
#include "cli/command.h"
#include "server/server.h"

#include <stdbool.h>
#include <stdint.h>

struct serve_options {
	const char *name_space, *mode, *group;
	uint64_t decoders, seats, requests;
	uint64_t cache, fresh, decode_timeout;
	uint64_t max_pixels, max_side, max_bytes, max_file, max_scans, max_chunk, max_chunks;
	struct option_list preload;
	bool isolate, allow_degraded;
	bool join, quiet;
};

extern const struct option_row serve_rows[];

/* Whether options and words go together. */
int serve_options_check(
	const struct serve_options *given, int argc, char **argv, struct error *err);

/* All but the folder. `command`: one runs beside the server, which has a namespace of its own unless
 * one is named. */
int serve_options_make(const struct serve_options *given, bool command, struct server_options *ret,
	struct error *err);
