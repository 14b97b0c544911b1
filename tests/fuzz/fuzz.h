/*
 * What every fuzz target includes. A target is LLVMFuzzerTestOneInput() in a file of its own; with
 * -Dfuzz=true (clang) libFuzzer calls it, otherwise replay.c, over the corpus.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Called once, before the first input, where a target has it. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* What must hold whatever the input is; lives on with NDEBUG. */
#define FUZZ_CHECK(condition)                                                                   \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)
