/*
 * Which process this is, without a system call: what notices that a handle was carried over a
 * fork().
 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/* Must have been called in this process before process_mark() is used in it. Thread-safe. */
int process_mark_init(struct error *err);

/* A number that differs from process to process; 0 in a child that has not called
 * process_mark_init() itself. */
uint64_t process_mark(void);
