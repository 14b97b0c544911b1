/*
 * Programs that are known for what they leave in shared memory, by the names of it.
 */
#pragma once

#include "inventory/objects.h"

/* The program that gives its objects such names, "PyTorch"; NULL: none that is known. */
const char *known_program(const struct object *object);

/*
 * Some programs let go of an object and open it again later: as long as one of theirs is held, none
 * of theirs is stale. To be called once all are judged.
 */
void known_judge(struct objects *objects);
