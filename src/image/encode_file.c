/* What all formats share when they are written. */
#include "image/codecs.h"

#include <errno.h>

int encode_write_error(int os_error, struct error *err)
{
	return error_os_as(err, STATUS_IO, os_error ? os_error : EIO, "cannot write the image");
}
