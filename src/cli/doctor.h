/*
 * What on this host makes a server or its clients fail or slow, and what helps. Each group of
 * checks is a file; nothing is changed but an unnamed file in /dev/shm, which is gone at once.
 */
#pragma once

#include <stddef.h>

enum finding_state {
	FINDING_OK,
	FINDING_WARNING, /* may fail later, or costs speed */
	FINDING_BAD,     /* does not work */
};

struct finding {
	const char *check; /* what was looked at */
	enum finding_state state;
	char what[256];   /* what was found */
	char remedy[256]; /* what helps; empty where nothing is needed */
};

#define FINDINGS_MAX 60

struct findings {
	struct finding items[FINDINGS_MAX];
	size_t count;
};

struct finding *finding_add(struct findings *findings, const char *check, enum finding_state state,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
void finding_remedy(struct finding *finding, const char *text);

#define FILES_FEW 256 /* to make, or to have open */

/* /dev/shm, and what lies in it */
void doctor_shm(struct findings *findings);

/* what the kernel has, and what it refuses to this process */
void doctor_kernel(struct findings *findings);

/* libraries that are loaded when they are needed */
void doctor_libraries(struct findings *findings);

/* memory, inotify, CPUs, rlimits, logind */
void doctor_limits(struct findings *findings);

/* a folder that is to be served */
void doctor_folder(struct findings *findings, const char *folder);
