/*
 * Sizes that cannot wrap around, and numbers that people write.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *ret = a * b or a + b; false, and nothing written, if that does not fit. */
bool size_multiply(uint64_t a, uint64_t b, uint64_t *ret);
bool size_add(uint64_t a, uint64_t b, uint64_t *ret);

/* The next multiple of `alignment` (a power of two) at or above `value`; false if that does not
 * fit. */
bool size_align(uint64_t value, uint64_t alignment, uint64_t *ret);

/* A decimal number from `least` to `most`, nothing around it. STATUS_USAGE otherwise. `what` names
 * it in the error. */
int parse_number(const char *text, const char *what, uint64_t least, uint64_t most, uint64_t *ret,
	struct error *err);

/* Bytes: a number with an optional K, M, G or T (powers of 1024; "KiB" and "KB" mean the same). */
int parse_size(const char *text, const char *what, uint64_t *ret, struct error *err);

/* Nanoseconds: a number, fractions allowed, with an optional ns, us, ms, s, m, h or d; seconds
 * without one. */
int parse_duration(const char *text, const char *what, uint64_t *ret_ns, struct error *err);

/* Writes a number in decimal. */
#define NUMBER_TEXT_SIZE 24
const char *format_number(uint64_t number, char text[NUMBER_TEXT_SIZE]);

/* Writes `bytes` for people, as lsblk does: "927B", "1.5K", "36M". */
#define SIZE_TEXT_SIZE 16
const char *format_size(uint64_t bytes, char text[SIZE_TEXT_SIZE]);

/* Writes a duration for people: "870ns", "12us", "3.4ms", "2.1s", "5m", "3h", "12d". */
const char *format_duration(uint64_t ns, char text[SIZE_TEXT_SIZE]);
