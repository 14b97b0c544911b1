/*
 * Limits of the control groups that this process is in.
 */
#pragma once

#include <stdint.h>

/*
 * The lowest memory limit of the control groups of either version that this process is in, by what
 * is mounted at /sys/fs/cgroup, below `root` ("" for the system's own); UINT64_MAX: none.
 */
uint64_t cgroup_memory_limit(const char *root);
