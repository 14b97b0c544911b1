/*
 * What on this host will bite a server or its clients, and what helps.
 */
#pragma once

#include <stddef.h>

enum finding_state {
	FINDING_OK,
	FINDING_WARNING, /* will bite one day, or costs speed */
	FINDING_BAD,     /* does not work */
};

struct finding {
	const char *check; /* what was looked at */
	enum finding_state state;
	char what[256];   /* what was found */
	char remedy[256]; /* what helps; empty where nothing is needed */
};

#define FINDINGS_MAX 40

struct findings {
	struct finding items[FINDINGS_MAX];
	size_t count;
};

/* Looks at everything; changes nothing but an unnamed file in /dev/shm, which is gone at once. */
void doctor_examine(struct findings *ret);

/* Looks at a folder that is to be served, too. */
void doctor_examine_folder(struct findings *findings, const char *folder);
