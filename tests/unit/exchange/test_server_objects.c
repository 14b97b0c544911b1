/* What a responder makes: modes, and locks that are there before the names. */
#include "test.h"

#include "exchange/server_objects.h"
#include "shm/lock.h"
#include "shm/names.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned linked, locked, requests_locked;

int __real_shm_file_link(int fd, const char *file);
int __wrap_shm_file_link(int fd, const char *file);

/* Everything that gets a name passes here: is it locked by then? */
int __wrap_shm_file_link(int fd, const char *file)
{
	char self[32];
	int other;

	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	other = open(self, O_RDWR | O_CLOEXEC);
	assert_true(other >= 0);
	linked++;
	if (lock_held(other, WIRE_SERVER_LOCK, 1) == 1) {
		locked++;
		requests_locked += strstr(file, "_REQ") != NULL;
	}
	close(other);
	return __real_shm_file_link(fd, file);
}

static void create(struct server_objects *ret, mode_t mode)
{
	struct server_objects_options options = {.seats = 2,
		.segments = 2,
		.reserve = 1 << 20,
		.access = {.mode = mode, .group = (gid_t)-1}};
	struct error err;

	snprintf(options.space.text, sizeof options.space.text, "test-objects-%d", (int)getpid());
	if (server_objects_create(ret, &options, &err))
		fail_msg("%s", err.text);
}

static void end(struct server_objects *objects)
{
	server_objects_withdraw(objects);
	server_objects_release(objects);
}

static void what_is_locked_is_locked_before_it_has_its_name(void **state)
{
	struct server_objects objects;

	(void)state;
	linked = locked = requests_locked = 0;
	create(&objects, 0600);
	end(&objects);
	/* HEAD, REQ and the data segments; the semaphores of the two seats need no lock. */
	assert_int_equal(linked, 6);
	assert_int_equal(locked, 4);
	assert_int_equal(requests_locked, 1);
}

static void who_may_not_write_may_not_read(void **state)
{
	static const struct {
		mode_t asked, given, data;
	} modes[] = {
		{0600, 0600, 0600},
		{0644, 0600, 0600},
		{0660, 0660, 0640},
		{0664, 0660, 0640},
		{0666, 0666, 0644},
		{0620, 0620, 0600},
		{0646, 0606, 0604},
	};

	(void)state;
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		struct server_objects objects;
		struct stat status;

		create(&objects, modes[i].asked);
		for (unsigned j = 0; j < objects.published.count; j++) {
			const struct published *object = &objects.published.objects[j];

			assert_int_equal(shm_file_look(object->file, &status), 0);
			assert_int_equal(status.st_mode & 07777,
				object->kind == OBJECT_DATA || object->kind == OBJECT_HEAD
					? modes[i].data
					: modes[i].given);
		}
		/* Only now can others lock HEAD. */
		assert_int_equal(server_objects_ready(&objects, NULL), STATUS_OK);
		assert_int_equal(fstat(objects.head.segment.fd, &status), 0);
		assert_int_equal(status.st_mode & 07777, modes[i].given);
		end(&objects);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_locked_is_locked_before_it_has_its_name),
		cmocka_unit_test(who_may_not_write_may_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
