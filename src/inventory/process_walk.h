/*
 * What one process holds, as /proc shows it: mappings, descriptors, and the System V objects that its
 * threads wait for.
 */
#pragma once

#include "inventory/holders.h"
#include "inventory/nameless.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What was found so far, and the process being looked at. */
struct process_walk {
	struct holders found;
	struct nameless_list nameless;
	unsigned wanted;
	size_t room, denied;
	dev_t shm, memfd; /* devices; 0: no memfds wanted */
	ino_t ipc;        /* our IPC namespace */
	pid_t pid;        /* being looked at */
	int process;      /* its folder */
	char command[COMMAND_SIZE];
	char *text; /* of a maps file */
	size_t text_room;
	bool out_of_memory;
};

/* Adds what the process `name` holds, a folder of `proc`; one that has ended holds nothing. */
void process_walk(struct process_walk *walk, int proc, const char *name);
