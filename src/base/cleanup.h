/*
 * Resources that release themselves when they go out of scope, and how to hand one on.
 *
 *	AUTO_CLOSE int fd = open(...);
 *	...
 *	*ret_fd = steal_fd(&fd);
 *
 * Never used in a function that calls setjmp: longjmp skips these.
 */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define AUTO_CLOSE    __attribute__((cleanup(cleanup_fd)))
#define AUTO_FCLOSE   __attribute__((cleanup(cleanup_file)))
#define AUTO_FREE     __attribute__((cleanup(cleanup_heap)))
#define AUTO_CLOSEDIR __attribute__((cleanup(cleanup_directory)))
#define AUTO_UNMAP    __attribute__((cleanup(cleanup_map)))

/* A mapping and its length in bytes; base is NULL when there is none. */
struct map {
	void *base;
	size_t size;
};

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

static inline void cleanup_heap(void *pointer)
{
	free(*(void **)pointer);
	*(void **)pointer = NULL;
}

static inline void cleanup_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
	*directory = NULL;
}

static inline void cleanup_map(struct map *map)
{
	if (map->base)
		munmap(map->base, map->size);
	*map = (struct map){0};
}

static inline int steal_fd(int *fd)
{
	int stolen = *fd;

	*fd = -1;
	return stolen;
}

static inline struct map steal_map(struct map *map)
{
	struct map stolen = *map;

	*map = (struct map){0};
	return stolen;
}

#define steal_pointer(pointer)                               \
	__extension__({                                      \
		__typeof__(*(pointer)) stolen_ = *(pointer); \
		*(pointer) = NULL;                           \
		stolen_;                                     \
	})
