#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What was truncated for want of room must not leave half a character. */
static void keep_whole_characters(char *text)
{
	size_t end = strlen(text), last = end ? end - 1 : 0;

	while (last && ((unsigned char)text[last] & 0xc0) == 0x80)
		last--;
	if (!text_is_plain(text + last, end - last))
		text[last] = '\0';
}

int error_set_va(struct error *err, int status, const char *format, va_list arguments)
{
	if (!err)
		return status;
	err->status = status;
	err->os_error = 0;
	vsnprintf(err->text, sizeof err->text, format, arguments);
	keep_whole_characters(err->text);
	return status;
}

int error_set(struct error *err, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	error_set_va(err, status, format, arguments);
	va_end(arguments);
	return status;
}

const char *os_error_text(int os_error)
{
#ifdef __GLIBC__
	const char *text = strerrordesc_np(os_error);

	return text ? text : "unknown error";
#else
	return strerror(os_error); /* a constant in musl */
#endif
}

int error_set_os(struct error *err, int status, int os_error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	error_set_va(err, status, format, arguments);
	va_end(arguments);
	if (err)
		err->os_error = os_error;
	return status;
}

__attribute__((format(printf, 4, 0))) static int set_os_va(
	struct error *err, int status, int os_error, const char *format, va_list arguments)
{
	size_t used;

	if (!err)
		return status;
	error_set_va(err, status, format, arguments);
	err->os_error = os_error;
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", os_error_text(os_error));
	return status;
}

int error_os(struct error *err, int os_error, const char *format, ...)
{
	int status = error_status_of(os_error);
	va_list arguments;

	va_start(arguments, format);
	set_os_va(err, status, os_error, format, arguments);
	va_end(arguments);
	return status;
}

int error_os_as(struct error *err, int status, int os_error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_os_va(err, status, os_error, format, arguments);
	va_end(arguments);
	return status;
}

int error_cancelled(struct error *err, const char *text)
{
	return error_set_os(err, STATUS_TRY_AGAIN, ECANCELED, "%s", text);
}

int error_prefix(struct error *err, int status, const char *format, ...)
{
	char text[ERROR_TEXT_SIZE];
	va_list arguments;
	size_t used;

	if (!err)
		return status;
	memcpy(text, err->text, sizeof text);
	va_start(arguments, format);
	vsnprintf(err->text, sizeof err->text, format, arguments);
	va_end(arguments);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", text);
	keep_whole_characters(err->text);
	return status;
}

int error_copy(struct error *err, const struct error *from)
{
	if (err)
		*err = *from;
	return from->status;
}

int error_status_of(int os_error)
{
	switch (os_error) {
	case ENOENT:
	case ENOTDIR:
	case ENAMETOOLONG:
	case ELOOP:
		return STATUS_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
	case ENOKEY: /* an encrypted folder that is locked */
		return STATUS_NOT_PERMITTED;
	case EAGAIN:
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ETIMEDOUT:
		return STATUS_TRY_AGAIN;
	case EBADF: /* standard output is closed */
	/* Of file systems that are damaged, or whose server is gone. */
	case EUCLEAN:
	case EBADMSG:
	case ENOTCONN:
	case ECONNABORTED:
	case EHOSTDOWN:
	case EREMOTEIO:
	case ESTALE:
	case EIO:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EPIPE:
		return STATUS_IO;
	default:
		return STATUS_INTERNAL;
	}
}

int error_status_valid(unsigned status)
{
	switch (status) {
	case STATUS_USAGE:
	case STATUS_BAD_DATA:
	case STATUS_NOT_FOUND:
	case STATUS_UNAVAILABLE:
	case STATUS_INTERNAL:
	case STATUS_IO:
	case STATUS_TRY_AGAIN:
	case STATUS_NOT_PERMITTED:
		return 1;
	default:
		return 0;
	}
}
