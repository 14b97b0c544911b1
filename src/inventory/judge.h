/*
 * Whether somebody needs an object, and how that is known.
 */
#pragma once

#include "inventory/holders.h"
#include "inventory/objects.h"

#include <stdbool.h>

#define STALE_WHY  "nobody holds it open or maps it now"
#define UNSEEN_WHY "in use by what cannot be seen: in a socket, by hidden processes"

/* Fills in holders, state and why of each object but System V's. `holders` must outlive them. */
void objects_judge(struct objects *objects, const struct holders *holders);

/* Sets state and why. */
void judge(struct object *object, enum object_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Live: "<verb> 812 (python3) and 2 more"; for the holders that there are. */
void judge_held(struct object *object, const char *verb);

/* "812 (python3)" */
#define PROCESS_TEXT_SIZE (4 * COMMAND_SIZE + 16)
const char *process_text(pid_t pid, const char *command, char text[PROCESS_TEXT_SIZE]);
