#include "dynload/dynload.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static int load(struct dynload *library, struct error *err)
{
	void *handle = dlopen(library->object, RTLD_NOW | RTLD_LOCAL), *function;
	char *place = library->functions;

	if (!handle)
		return error_set(err, STATUS_UNAVAILABLE,
			"%s needs a library that cannot be loaded: %s", library->what, dlerror());
	for (const char *const *name = library->names; *name; name++) {
		function = dlsym(handle, *name);
		if (!function)
			return error_set(err, STATUS_UNAVAILABLE, "%s: this %s has no %s",
				library->what, library->object, *name);
		memcpy(place, &function, sizeof function);
		place += sizeof function;
	}
	library->loaded = true;
	return STATUS_OK;
}

int dynload_load(struct dynload *library, struct error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int status;

	pthread_mutex_lock(&lock);
	status = library->loaded ? STATUS_OK : load(library, err);
	pthread_mutex_unlock(&lock);
	return status;
}
