/* Work on many items by several threads, as many as there are processors to run them. */
#pragma once

#include <stddef.h>

/* Does the items from `start` on, before `end`. Called by several threads at once. */
typedef void parallel_work(void *context, size_t start, size_t end);

/* Has all of `count` items done; on its own thread alone if they are few. */
void parallel_do(size_t count, parallel_work *work, void *context);
