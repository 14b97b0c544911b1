/*
 * Messages of a service, which must go on whatever becomes of its stderr.
 */
#pragma once

/* Writes "shmsem serve: ", the message and a newline to stderr, or nothing if that would have to wait. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
