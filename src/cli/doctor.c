#include "cli/doctor.h"

#include "dynload/dynload.h"

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

void doctor_libraries(struct findings *findings)
{
	unsigned count = libraries_count(), missing = 0;
	struct error err;

	for (unsigned i = 0; i < count; i++)
		if (libraries_load(i, &err)) {
			missing++;
			finding_remedy(
				finding_add(findings, "libraries", FINDING_BAD, "%s", err.text),
				"install the package that has it; ldconfig(8), LD_LIBRARY_PATH");
		}
	if (!missing)
		finding_add(findings, "libraries", FINDING_OK, "all %u can be loaded", count);
}

void finding_remedy(struct finding *finding, const char *text)
{
	snprintf(finding->remedy, sizeof finding->remedy, "%s", text);
}
