#include "seat_log.h"

#include "exchange/wire.h"
#include "shm/lock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each record is client * 2, and 1 more if it has got a seat instead of a place in the queue. */
static struct seat_log {
	_Atomic uint64_t count;
	uint32_t records[];
} * seat_log;
static uint64_t records_max;
static unsigned self;

int __wrap_lock_take(int fd, uint64_t offset);
int __real_lock_take(int fd, uint64_t offset);

int seat_log_open(const char *path, unsigned client)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		return -1;
	seat_log = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (seat_log == MAP_FAILED) {
		seat_log = NULL;
		return -1;
	}
	records_max = ((uint64_t)status.st_size - sizeof *seat_log) / sizeof *seat_log->records;
	self = client;
	return 0;
}

/*
 * The linker puts this in the way of the library. A place in the queue is noted after it is had,
 * and a seat before that place is given up: so what others are noted to have got in between they
 * did get while we were in the queue, or the moment before.
 */
int __wrap_lock_take(int fd, uint64_t offset)
{
	int failed = __real_lock_take(fd, offset);
	bool granted = offset < WIRE_SERVER_LOCK;
	uint64_t at;

	if (failed || !seat_log || (!granted && offset < WIRE_QUEUE_LOCK))
		return failed;
	at = atomic_fetch_add(&seat_log->count, 1);
	if (at < records_max)
		seat_log->records[at] = self * 2 + granted;
	return 0;
}
