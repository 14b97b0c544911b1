#include "exchange/server_defaults.h"

#include "base/cgroup.h"
#include "base/process.h"
#include "exchange/wire.h"
#include "shm/names.h"

#include <sys/statvfs.h>

#define RESERVE_DEFAULT (UINT64_C(512) << 20)
#define RESERVE_LEAST   (UINT64_C(1) << 20)
#define SEATS_DEFAULT   128
#define SEATS_A_CPU     4

uint64_t server_room(void)
{
	uint64_t available = cgroup_memory_limit("");
	struct statvfs system;

	/* What is written to /dev/shm is charged to the control group as well: beyond its limit
	 * there is no ENOSPC, but an OOM kill. */
	if (statvfs(SHM_DIRECTORY, &system) == 0 &&
		(uint64_t)system.f_bavail * system.f_bsize < available)
		available = (uint64_t)system.f_bavail * system.f_bsize;
	return available;
}

uint64_t server_default_reserve(void)
{
	uint64_t quarter = server_room() / 4;

	if (quarter > RESERVE_DEFAULT)
		return RESERVE_DEFAULT;
	return quarter < RESERVE_LEAST ? RESERVE_LEAST : quarter;
}

unsigned server_default_seats(void)
{
	unsigned seats = SEATS_A_CPU * process_cpus();

	if (seats < SEATS_DEFAULT)
		return SEATS_DEFAULT;
	return seats < WIRE_SEATS_MAX ? seats : WIRE_SEATS_MAX;
}
