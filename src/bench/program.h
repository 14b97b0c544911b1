/*
 * A program that is started, and waited for, over and over: a subject of a whole process.
 */
#pragma once

#include "bench/engine.h"

struct program {
	const char *path;
	char *argv[8];
};

/* Its output is thrown away; if it fails, so does the measurement. */
struct bench_subject program_subject(struct program *program, const char *name);
