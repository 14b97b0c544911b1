/*
 * Text that came from outside, made fit to print.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies `length` bytes of `text` into `buffer` (of `size` bytes, always terminated), with control
 * bytes, backslashes and whatever is not UTF-8 written as \xNN. What does not fit is cut and ends
 * in "...". Returns `buffer`.
 */
const char *text_escape(const char *text, size_t length, char *buffer, size_t size);

/* Whether `length` bytes are UTF-8 without control characters. */
bool text_is_plain(const char *text, size_t length);
