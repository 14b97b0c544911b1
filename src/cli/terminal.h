/*
 * What standard output is, and text that fits it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Columns of the terminal that standard output is; 0 if it is none. */
size_t terminal_width(void);

/* The same for what is read wherever it goes: elsewhere $COLUMNS, or 80. */
size_t help_width(void);

/* By "auto", "always" or "never"; auto means a terminal that has colours, and no $NO_COLOR. */
bool terminal_colours(const char *when);

/* Shows a line on the terminal that standard error is, in the place of the one that it showed before;
 * what does not fit is left out: a line that went on in a second row would leave its first one there. */
void terminal_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define TERMINAL_GREEN  "\033[32m"
#define TERMINAL_YELLOW "\033[33m"
#define TERMINAL_RED    "\033[31m"
#define TERMINAL_PLAIN  "\033[0m"

/* How many columns `length` bytes of UTF-8 text take: one for each character. */
size_t text_columns(const char *text, size_t length);

/*
 * How many bytes of `text` make its first line when lines are `width` columns wide: up to a blank
 * (or behind a comma) where there is one, otherwise as much as fits; at least one character.
 */
size_t text_wrap(const char *text, size_t width);

/*
 * Prints text of which `used` columns stand already, with further lines indented by `indent`, and
 * ends the line. `width` 0: a single line.
 */
void print_wrapped(const char *text, size_t used, size_t indent, size_t width);
