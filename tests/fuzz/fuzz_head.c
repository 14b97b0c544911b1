/* HEAD as it may stand in /dev/shm, for who only looks at it and for who would connect. */
#include "fuzz.h"

#include "exchange/head.h"
#include "exchange/head_report.h"
#include "shm/lock.h"
#include "shm/names.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct name_space space;
static char name[OBJECT_NAME_SIZE];
static int file;

static void remove_object(void)
{
	shm_unlink(name);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	snprintf(space.text, sizeof space.text, "fuzz-head-%d", (int)getpid());
	object_name(&space, OBJECT_HEAD, 0, name);
	file = shm_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FUZZ_CHECK(file >= 0);
	atexit(remove_object);
	/* Its server lives. */
	FUZZ_CHECK(lock_take(file, WIRE_SERVER_LOCK) == 0);
	return 0;
}

static void look(void)
{
	struct head_report report;
	struct head_report_seat seat;

	FUZZ_CHECK(head_report_read(file, &report) == 0);
	for (unsigned i = 0; report.native && i < report.seats && i < 8; i++)
		FUZZ_CHECK(head_report_read_seat(file, &report, i, &seat) == 0);
}

static void attach(void)
{
	struct head head = HEAD_NONE;
	struct error err = {0};
	int status = head_open(&space, &SERVER_USER_OWN, false, &head, &err);
	struct wire_seat seat;

	if (status) {
		FUZZ_CHECK(err.text[0]);
		return;
	}
	FUZZ_CHECK(head.seats && head.seats <= WIRE_SEATS_MAX);
	FUZZ_CHECK(head.segments && head.segments <= WIRE_SEGMENTS_MAX);
	wire_copy(&seat, head_seat(&head, head.seats - 1), sizeof seat);
	wire_copy(&seat, head_server(&head), sizeof(struct wire_server));
	wire_copy(&seat, head_seat_counters(&head, head.seats - 1),
		sizeof(struct wire_seat_counters));
	head_release(&head);
}

/* The first byte says how many pages of zeros there are between what lies at the beginning, which
 * is the constants of seat 0, and the rest, which is the server's page. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t first = size < 40 ? size : 40, pages;

	if (size < 2)
		return 0;
	pages = data[0] % 32;
	first--;
	FUZZ_CHECK(ftruncate(file, 0) == 0 && ftruncate(file, (off_t)(pages * WIRE_PAGE)) == 0);
	FUZZ_CHECK(
		pwrite(file, data + 1, first, offsetof(struct wire_seat, magic)) == (ssize_t)first);
	FUZZ_CHECK(pwrite(file, data + 1 + first, size - 1 - first,
			   (off_t)((1 + data[0] / 32 % 4) * WIRE_PAGE)) ==
		   (ssize_t)(size - 1 - first));
	look();
	attach();
	return 0;
}
