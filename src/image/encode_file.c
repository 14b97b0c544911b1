/* What all formats share when they are written. */
#include "image/codecs.h"

#include <errno.h>

int encode_write_error(int os_error, struct error *err)
{
	error_os(err, os_error ? os_error : EIO, "cannot write the image");
	if (err)
		err->status = STATUS_IO;
	return STATUS_IO;
}
