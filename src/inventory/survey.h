/* What there is and who has it: all objects with their holders, judged. */
#pragma once

#include "base/error.h"
#include "inventory/holders.h"
#include "inventory/objects.h"

#include <stdbool.h>

struct survey {
	struct objects objects;
	struct holders holders;
};

#define SURVEY_NONE ((struct survey){0})
#define AUTO_SURVEY __attribute__((cleanup(survey_release)))

/* Beside what takes memory of /dev/shm. */
enum survey_wanted {
	SURVEY_SYSV = 1 << 0,
	SURVEY_MEMFDS = 1 << 1,
};

/* *survey is to be released whatever the result. */
int survey_take(struct survey *survey, unsigned wanted, struct error *err);
void survey_release(struct survey *survey);
