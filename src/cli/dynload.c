#include "cli/dynload.h"

#include <dlfcn.h>

int dynload_load(const char *object, const char *option, const struct dynload_function *functions,
	struct error *err)
{
	void *library = dlopen(object, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return error_set(err, STATUS_UNAVAILABLE,
			"%s needs a library that cannot be loaded: %s", option, dlerror());
	for (const struct dynload_function *function = functions; function->name; function++) {
		*function->place = dlsym(library, function->name);
		if (!*function->place)
			return error_set(err, STATUS_UNAVAILABLE, "%s: this %s has no %s", option,
				object, function->name);
	}
	return STATUS_OK;
}
