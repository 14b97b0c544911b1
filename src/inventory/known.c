#include "inventory/known.h"

#include "inventory/judge.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct program {
	const char *name;
	const char *prefixes[4];
	bool opens_again;
} programs[] = {
	{"Python", {"psm_", "sem.mp-"}, false},
	{"joblib", {"sem.loky-"}, false},
	{"PyTorch", {"torch_"}, false},
	{"NCCL", {"nccl-"}, false},
	{"vLLM", {"vllm_", "VLLM_"}, false},
	{"SGLang", {"sglang_"}, false},
	{"Ray", {"plasma"}, false},
	{"Fast-DDS", {"fastrtps_", "sem.fastrtps_", "fast_datasharing_"}, false},
	{"Boost", {"boost_", "sem.boost_"}, false},
	{"Chromium",
		{".org.chromium.", "org.chromium.", ".com.google.Chrome.", "com.google.Chrome."},
		false},
	/* A pinned segment stays while no backend maps it. */
	{"PostgreSQL", {"PostgreSQL."}, true},
};

#define PROGRAMS (sizeof programs / sizeof *programs)

static const struct program *find(const struct object *object)
{
	if (!object_is_named(object) || object->native)
		return NULL;
	for (size_t i = 0; i < PROGRAMS; i++)
		for (size_t at = 0; at < 4 && programs[i].prefixes[at]; at++)
			if (!strncmp(object->name, programs[i].prefixes[at],
				    strlen(programs[i].prefixes[at])))
				return &programs[i];
	return NULL;
}

const char *known_program(const struct object *object)
{
	const struct program *program = find(object);

	return program ? program->name : NULL;
}

/* Whether a process of that program holds something of it. */
static bool runs(const struct objects *objects, const struct program *program)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->items[i].state == OBJECT_LIVE && find(&objects->items[i]) == program)
			return true;
	return false;
}

void known_judge(struct objects *objects)
{
	for (size_t at = 0; at < PROGRAMS; at++) {
		const struct program *program = &programs[at];

		if (!program->opens_again || !runs(objects, program))
			continue;
		for (size_t i = 0; i < objects->count; i++)
			if (objects->items[i].state == OBJECT_STALE &&
				find(&objects->items[i]) == program)
				judge(&objects->items[i], OBJECT_UNKNOWN,
					STALE_WHY ", but %s runs and may open it again",
					program->name);
	}
}
