#include "cli/terminal.h"

#include "base/number.h"

#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80
#define WIDTH_LEAST   40 /* that can be read */
#define LINE_SIZE     256

/* Where the system does not say how wide lines may be. */
static size_t width_wished(void)
{
	const char *columns = getenv("COLUMNS");
	uint64_t width;

	if (!columns || parse_number(columns, "COLUMNS", 1, INT_MAX, &width, NULL))
		return WIDTH_DEFAULT;
	return width < WIDTH_LEAST ? WIDTH_LEAST : width;
}

/* 0 if it is no terminal, or does not say. */
static size_t columns_of(int fd)
{
	struct winsize size = {0};

	return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t terminal_width(void)
{
	size_t columns = columns_of(STDOUT_FILENO);

	if (!isatty(STDOUT_FILENO))
		return 0;
	return columns ? columns : width_wished();
}

size_t help_width(void)
{
	return isatty(STDOUT_FILENO) ? terminal_width() : width_wished();
}

bool terminal_colours(const char *when)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (!strcmp(when, "always"))
		return true;
	if (!strcmp(when, "never") || !isatty(STDOUT_FILENO))
		return false;
	return !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xC0) == 0x80;
}

size_t text_columns(const char *text, size_t length)
{
	size_t columns = 0;

	for (size_t i = 0; i < length; i++)
		columns += !is_continuation(text[i]);
	return columns;
}

void terminal_line(const char *format, ...)
{
	size_t width = columns_of(STDERR_FILENO), length;
	char line[LINE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	length = strlen(line);
	/* Not into the last column: some terminals go on to the next row there. */
	while (width && length && text_columns(line, length) >= width)
		length--;
	fprintf(stderr, "\r%.*s\033[K", (int)length, line);
}

size_t text_wrap(const char *text, size_t width)
{
	size_t columns = 0, at = 0, best = 0;

	for (; text[at]; at++) {
		if (is_continuation(text[at]))
			continue;
		if (text[at] == ' ' && at)
			best = at;
		if (columns == width)
			break;
		columns++;
		if (text[at] == ',')
			best = at + 1;
	}
	if (!text[at])
		return at;
	if (best)
		return best;
	/* A terminal of no columns still shows a character a line. */
	for (at += !at; is_continuation(text[at]); at++)
		;
	return at;
}

void print_wrapped(const char *text, size_t used, size_t indent, size_t width)
{
	while (*text) {
		size_t room = width > used ? width - used : 0;
		size_t length = width ? text_wrap(text, room) : strlen(text);

		printf("%.*s\n", (int)length, text);
		text += length;
		text += strspn(text, " ");
		used = indent;
		if (*text)
			printf("%*s", (int)indent, "");
	}
}
