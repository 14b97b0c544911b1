/*
 * Errors: what went wrong, in one sentence, kept by the caller.
 *
 * A function that can fail returns STATUS_OK (0) or the status it also put into the caller's
 * `struct error`. Statuses are the exit statuses of the commands and the status words of the
 * exchange: one number from the decoder to the shell. STATUS_INTERNAL and STATUS_IO mean that
 * something is broken; every other one is an outcome that callers must expect.
 *
 * Outputs named ret_... are written on success only. *err is for messages: it may be NULL, so what a
 * function does never depends on it, but on the status that it got, or on an error of its own.
 * Library code never prints: commands do, once.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum status {
	STATUS_OK = 0,
	STATUS_PARTLY = 1,         /* some of it failed, or a check found something */
	STATUS_USAGE = 64,         /* the caller's words are wrong */
	STATUS_BAD_DATA = 65,      /* not a decodable image, or a corrupt segment */
	STATUS_NOT_FOUND = 66,     /* no such image or file */
	STATUS_UNAVAILABLE = 69,   /* no server, or it died while we waited */
	STATUS_INTERNAL = 70,      /* a bug, or a kernel without what we need */
	STATUS_IO = 74,            /* could not write */
	STATUS_TRY_AGAIN = 75,     /* timed out, busy or out of some resource */
	STATUS_NOT_PERMITTED = 77, /* the system or the other side refuses */
};

#define ERROR_TEXT_SIZE 512

struct error {
	int status;                 /* enum status */
	int os_error;               /* the errno behind it, or 0 */
	char text[ERROR_TEXT_SIZE]; /* one sentence without a full stop, always terminated */
};

/* Fills *err (which may be NULL) and returns `status`. The text is cut to fit. */
int error_set(struct error *err, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int error_set_va(struct error *err, int status, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

/* The same, of what has an errno that the text does not tell. */
int error_set_os(struct error *err, int status, int os_error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The words for an errno value, never translated; a constant. */
const char *os_error_text(int os_error);

/* The same for a failed system call: the status follows from `os_error` (see error_status_of), and
 * ": <what errno says>" is added to the text. */
int error_os(struct error *err, int os_error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same where another status follows. */
int error_os_as(struct error *err, int status, int os_error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* STATUS_TRY_AGAIN with os_error ECANCELED: somebody wanted the wait to end. */
int error_cancelled(struct error *err, const char *text);

/* Puts "<context>: " before the text that is there; returns `status`. */
int error_prefix(struct error *err, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Hands an error on; returns its status. */
int error_copy(struct error *err, const struct error *from);

/* The status that an errno means when nothing more is known about the call. */
int error_status_of(int os_error);

/* Whether a number that came from outside is a status that one call can fail with. */
int error_status_valid(unsigned status);
