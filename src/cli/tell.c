#include "cli/tell.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe that can be written to takes a whole line of PIPE_BUF bytes. One that nobody reads any more is
 * left alone, too: it would end the service (SIGPIPE). */
static void write_now(const char *line, size_t size)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	if (poll(&out, 1, 0) == 1 && out.revents == POLLOUT && write(out.fd, line, size) < 0)
		return;
}

void tell(const char *format, ...)
{
	char line[PIPE_BUF] = "shmsem serve: ";
	size_t used = strlen(line);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line + used, sizeof line - used - 1, format, arguments);
	va_end(arguments);
	used = strlen(line);
	line[used++] = '\n';
	write_now(line, used);
}
