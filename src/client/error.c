#include "client/error.h"

#include <stdarg.h>
#include <string.h>

_Static_assert(SHMSEM_MESSAGE_SIZE == ERROR_TEXT_SIZE, "errors are copied whole");

#define STATUS_ALIKE(name) \
	_Static_assert((int)SHMSEM_##name == (int)STATUS_##name, "one set of statuses")

STATUS_ALIKE(OK);
STATUS_ALIKE(USAGE);
STATUS_ALIKE(BAD_DATA);
STATUS_ALIKE(NOT_FOUND);
STATUS_ALIKE(UNAVAILABLE);
STATUS_ALIKE(INTERNAL);
STATUS_ALIKE(IO);
STATUS_ALIKE(TRY_AGAIN);
STATUS_ALIKE(NOT_PERMITTED);

int error_export(struct shmsem_error *ret, const struct error *err, int status)
{
	if (!ret)
		return status;
	ret->status = status;
	ret->os_error = status ? err->os_error : 0;
	if (status)
		memcpy(ret->message, err->text, sizeof ret->message);
	else
		ret->message[0] = '\0';
	return status;
}

int error_import(struct error *err, const struct shmsem_error *from, int status)
{
	if (status < 0 || !error_status_valid((unsigned)status))
		return error_set(err, STATUS_INTERNAL, "the program gave a status of %d", status);
	error_set(err, status, "%.*s", (int)sizeof from->message - 1,
		from->message[0] ? from->message : "the program said no more");
	err->os_error = from->os_error;
	return status;
}

int shmsem_fail(struct shmsem_error *error, int status, const char *format, ...)
{
	struct error err = {0};
	va_list arguments;

	va_start(arguments, format);
	error_set_va(&err, status, format, arguments);
	va_end(arguments);
	return error_export(error, &err, status);
}
