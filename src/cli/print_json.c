#include "cli/print_json.h"

#include <errno.h>
#include <stdio.h>

int print_json(json_t *value, struct error *err)
{
	int failed;

	if (!value)
		return error_os(err, ENOMEM, "cannot make the JSON text");
	failed = json_dumpf(value, stdout, JSON_INDENT(3) | JSON_REAL_PRECISION(9)) != 0;
	json_decref(value);
	if (failed || putchar('\n') == EOF)
		return error_set(err, STATUS_IO, "cannot write to standard output");
	return STATUS_OK;
}
