#include "server/shard_name.h"

#include <string.h>
#include <strings.h>

static bool ends_in(const char *text, size_t length, const char *end)
{
	size_t size = strlen(end);

	return length > size && !strncasecmp(text + length - size, end, size);
}

bool shard_name_ends(const char *name, size_t length)
{
	return ends_in(name, length, ".tar");
}

size_t shard_name_part(const char *name, size_t from)
{
	for (const char *slash = strchr(name + from + !!from, '/'); slash;
		slash = strchr(slash + 1, '/'))
		if (shard_name_ends(name, (size_t)(slash - name)))
			return (size_t)(slash - name);
	return 0;
}

bool shard_name_compressed(const char *name)
{
	static const char *const ends[] = {".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz",
		".txz", ".tar.bz2", ".tbz2", ".tar.lz4"};

	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/'))
		for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
			if (ends_in(name, (size_t)(slash - name), ends[i]))
				return true;
	return false;
}
