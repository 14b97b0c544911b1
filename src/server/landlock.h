/*
 * Landlock: no file, no TCP port, no signal and no abstract socket outside the process.
 */
#pragma once

/* The version of the kernel's Landlock interface; 0 if it has none, or it is switched off. */
int landlock_version(void);

/* Denies everything that this version can deny. The process needs no_new_privs. 0 or an errno. */
int landlock_deny_all(int version);

/* The same, but that files below the folder may be read. */
int landlock_read_only(int version, int folder);
