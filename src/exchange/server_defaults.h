/*
 * How large a server is when nobody chose.
 */
#pragma once

#include <stdint.h>

/* What is free on /dev/shm, or what the control group may have where that is less; bytes. */
uint64_t server_room(void);

/* The address space of a data segment: half a gigabyte, or a quarter of the memory that is free, or
 * that the control group may have, where that is less. */
uint64_t server_default_reserve(void);

/* The number of seats: 128, or four for each CPU where that is more. */
unsigned server_default_seats(void);
