#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>

struct finding *finding_add(struct findings *findings, const char *check, enum finding_state state,
	const char *format, ...)
{
	struct finding *finding = &findings->items[findings->count++];
	va_list arguments;

	*finding = (struct finding){.check = check, .state = state};
	va_start(arguments, format);
	vsnprintf(finding->what, sizeof finding->what, format, arguments);
	va_end(arguments);
	return finding;
}

void finding_remedy(struct finding *finding, const char *text)
{
	snprintf(finding->remedy, sizeof finding->remedy, "%s", text);
}
