/* What may be removed of a namespace, and what must never be. */
#include "test.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "exchange/head_report.h"
#include "exchange/reclaim.h"
#include "shm/lock.h"
#include "shm/segment.h"
#include "shm/semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEATS 2

/* A server as far as its objects go: HEAD first, locked before it is seen. */
struct server {
	struct name_space space;
	int head, data, request;
	struct stat head_is, data_is, request_is, response_is;
};

static const struct access mine = {.mode = 0600, .group = (gid_t)-1};

static struct name_space space_named(const char *text)
{
	struct name_space space;

	snprintf(space.text, sizeof space.text, "test-reclaim-%d-%s", (int)getpid(), text);
	return space;
}

static char *path_of(const struct name_space *space, enum object_kind kind, unsigned index)
{
	static char path[sizeof SHM_DIRECTORY + OBJECT_FILE_SIZE];
	char file[OBJECT_FILE_SIZE];

	snprintf(path, sizeof path, "%s/%s", SHM_DIRECTORY, object_file(space, kind, index, file));
	return path;
}

static bool exists(const struct name_space *space, enum object_kind kind, unsigned index)
{
	struct stat status;

	return lstat(path_of(space, kind, index), &status) == 0;
}

/* A locked file with that name; -1 if the name is taken. */
static int publish(const struct name_space *space, enum object_kind kind, unsigned index,
	const void *content, size_t size, struct stat *ret)
{
	AUTO_CLOSE int fd = shm_file_unnamed(&mine);
	char file[OBJECT_FILE_SIZE];

	if (fd < 0 || write_full(fd, content, size) != 0 || lock_take(fd, WIRE_SERVER_LOCK) != 0 ||
		fstat(fd, ret) != 0 ||
		shm_file_link(fd, object_file(space, kind, index, file)) != 0)
		return -1;
	return steal_fd(&fd);
}

static bool server_start(const struct name_space *space, struct server *ret)
{
	struct server server = {.space = *space, .head = -1, .data = -1, .request = -1};
	uint8_t head[(SEATS + 2) * WIRE_PAGE] = {0}, semaphore[sizeof(sem_t)] = {0};
	struct wire_seat token = {
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .seats = SEATS, .page = WIRE_PAGE};
	struct wire_server page = {.ready = 1, .pid = (uint32_t)getpid()};
	int response;

	memcpy(head, &token, sizeof token);
	memcpy(head + wire_server_offset(WIRE_PAGE, SEATS), &page, sizeof page);
	server.head = publish(space, OBJECT_HEAD, 0, head, sizeof head, &server.head_is);
	if (server.head < 0)
		return false;
	server.request = publish(
		space, OBJECT_REQUEST, 0, semaphore, sizeof semaphore, &server.request_is);
	server.data = publish(space, OBJECT_DATA, 1, head, sizeof head, &server.data_is);
	response = publish(
		space, OBJECT_RESPONSE, 1, semaphore, sizeof semaphore, &server.response_is);
	if (server.request < 0 || server.data < 0 || response < 0)
		abort(); /* also ends a forked child */
	close(response);
	*ret = server;
	return true;
}

/* As SIGKILL leaves it: the locks go, the names stay. */
static void server_die(struct server *server)
{
	close(server->data);
	close(server->request);
	close(server->head);
}

static bool same(const struct name_space *space, enum object_kind kind, unsigned index,
	const struct stat *is)
{
	struct stat now;

	return lstat(path_of(space, kind, index), &now) == 0 && now.st_ino == is->st_ino;
}

static bool server_whole(const struct server *server)
{
	return same(&server->space, OBJECT_HEAD, 0, &server->head_is) &&
	       same(&server->space, OBJECT_REQUEST, 0, &server->request_is) &&
	       same(&server->space, OBJECT_DATA, 1, &server->data_is) &&
	       same(&server->space, OBJECT_RESPONSE, 1, &server->response_is);
}

static void unlink_own(const struct name_space *space, enum object_kind kind, unsigned index,
	const struct stat *is)
{
	char file[OBJECT_FILE_SIZE];

	shm_file_unlink(object_file(space, kind, index, file), file_id_of(is));
}

static void server_stop(struct server *server)
{
	unlink_own(&server->space, OBJECT_REQUEST, 0, &server->request_is);
	unlink_own(&server->space, OBJECT_DATA, 1, &server->data_is);
	unlink_own(&server->space, OBJECT_RESPONSE, 1, &server->response_is);
	unlink_own(&server->space, OBJECT_HEAD, 0, &server->head_is);
	server_die(server);
}

static void count(void *context, const char *file, uint64_t bytes, int failed)
{
	unsigned *counted = context;

	assert_string_not_equal(file, "");
	assert_true(bytes > 0);
	assert_int_equal(failed, 0);
	++*counted;
}

static void a_dead_servers_objects_are_removed_and_told(void **state)
{
	struct name_space space = space_named("dead");
	unsigned counted = 0;
	struct reclaim reclaim = {.tell = count, .context = &counted};
	struct server server;
	struct error err;

	(void)state;
	assert_true(server_start(&space, &server));
	server_die(&server);
	assert_int_equal(reclaim_namespace(&space, &reclaim, &err), STATUS_OK);
	assert_int_equal(counted, 4);
	assert_false(exists(&space, OBJECT_HEAD, 0));
	assert_false(exists(&space, OBJECT_DATA, 1));
	assert_int_equal(reclaim_namespace(&space, &reclaim, &err), STATUS_OK);
	assert_int_equal(counted, 4);
}

static void a_living_server_is_left_alone_and_named(void **state)
{
	struct name_space space = space_named("alive");
	struct server server;
	struct error err;
	char pid[32];

	(void)state;
	assert_true(server_start(&space, &server));
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EAGAIN);
	snprintf(pid, sizeof pid, "pid %d", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_true(server_whole(&server));
	server_stop(&server);
}

static void a_living_server_without_head_is_left_alone(void **state)
{
	struct name_space space = space_named("beheaded");
	struct server server;
	struct error err;

	(void)state;
	assert_true(server_start(&space, &server));
	assert_int_equal(unlink(path_of(&space, OBJECT_HEAD, 0)), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EAGAIN);
	assert_true(exists(&space, OBJECT_RESPONSE, 1));
	server_die(&server);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_OK);
	assert_false(exists(&space, OBJECT_RESPONSE, 1));
	assert_false(exists(&space, OBJECT_HEAD, 0));
}

static void objects_of_other_programs_are_left_alone(void **state)
{
	struct name_space space = space_named("classic");
	struct server server;
	struct error err;
	int fd;

	(void)state;
	fd = open(path_of(&space, OBJECT_HEAD, 0), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 32), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EEXIST);
	assert_non_null(strstr(err.text, "--foreign"));
	assert_int_equal(unlink(path_of(&space, OBJECT_HEAD, 0)), 0);
	close(fd);

	/* Without HEAD and without numbered objects nothing tells whose they are. */
	assert_true(server_start(&space, &server));
	server_die(&server);
	assert_int_equal(unlink(path_of(&space, OBJECT_HEAD, 0)), 0);
	assert_int_equal(unlink(path_of(&space, OBJECT_DATA, 1)), 0);
	assert_int_equal(unlink(path_of(&space, OBJECT_RESPONSE, 1)), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_TRY_AGAIN);
	assert_int_equal(err.os_error, EEXIST);
	assert_true(exists(&space, OBJECT_REQUEST, 0));
	assert_int_equal(unlink(path_of(&space, OBJECT_REQUEST, 0)), 0);
}

static void what_is_no_segment_is_refused_by_name(void **state)
{
	struct name_space space = space_named("odd");
	struct error err;
	char *path = path_of(&space, OBJECT_HEAD, 0);

	(void)state;
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_NOT_PERMITTED);
	assert_non_null(strstr(err.text, "symbolic link"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0666), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_NOT_PERMITTED);
	assert_non_null(strstr(err.text, "named pipe"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0777), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_NOT_PERMITTED);
	assert_non_null(strstr(err.text, "directory"));
	assert_int_equal(rmdir(path), 0);
}

/* As root, the objects are given to another user; otherwise there is none to be had. */
static void another_users_objects_stay_unless_asked_for(void **state)
{
	struct name_space space = space_named("uid");
	struct reclaim any = {.any_owner = true};
	struct server server;
	struct error err;

	(void)state;
	if (geteuid() != 0)
		return;
	assert_true(server_start(&space, &server));
	assert_int_equal(fchown(server.head, 65534, 65534), 0);
	server_die(&server);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_NOT_PERMITTED);
	assert_non_null(strstr(err.text, "another user"));
	/* Even then a HEAD speaks only for objects of its own owner. */
	assert_int_equal(reclaim_namespace(&space, &any, &err), STATUS_NOT_PERMITTED);
	assert_true(exists(&space, OBJECT_DATA, 1));
	assert_int_equal(chown(path_of(&space, OBJECT_HEAD, 0), 0, 0), 0);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_OK);
	assert_false(exists(&space, OBJECT_DATA, 1));
}

static void a_place_holder_of_a_killed_cleaner_is_taken_up(void **state)
{
	const struct access place = {.mode = PLACE_HOLDER_MODE, .group = (gid_t)-1};
	struct name_space space = space_named("place");
	char file[OBJECT_FILE_SIZE];
	struct server server;
	struct error err;
	int fd;

	(void)state;
	assert_true(server_start(&space, &server));
	server_die(&server);
	assert_int_equal(unlink(path_of(&space, OBJECT_HEAD, 0)), 0);
	assert_int_equal(unlink(path_of(&space, OBJECT_DATA, 1)), 0);
	assert_int_equal(unlink(path_of(&space, OBJECT_RESPONSE, 1)), 0);
	fd = shm_file_unnamed(&place);
	assert_int_equal(shm_file_link(fd, object_file(&space, OBJECT_HEAD, 0, file)), 0);
	close(fd);
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_OK);
	assert_false(exists(&space, OBJECT_HEAD, 0));
	assert_false(exists(&space, OBJECT_REQUEST, 0));
}

/* One round of a server: what it must find, whatever is cleaned meanwhile. */
static void serve_round(const struct name_space *space, unsigned round)
{
	struct server server;
	struct error err;
	int status = reclaim_namespace(space, NULL, &err);

	if (status == STATUS_TRY_AGAIN)
		return;
	if (status) {
		print_error("%s\n", err.text);
		_exit(2);
	}
	if (!server_start(space, &server))
		return;
	if (!server_whole(&server))
		_exit(3);
	sched_yield();
	if (!server_whole(&server))
		_exit(4);
	if (round % 2)
		server_stop(&server);
	else
		server_die(&server);
}

static void clean_round(const struct name_space *space)
{
	struct error err;
	int status = reclaim_namespace(space, NULL, &err);

	/* A server lives there, or the machine is so busy that others take too long to clean. */
	if (status && (status != STATUS_TRY_AGAIN || err.os_error == EEXIST)) {
		print_error("%s\n", err.text);
		_exit(5);
	}
}

/* SHMSEM_ROUNDS=10000 and SHMSEM_PROCESSES=32 for the long form. */
static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void cleaners_and_servers_never_hurt_each_other(void **state)
{
	struct name_space space = space_named("crowd");
	unsigned rounds = from_environment("SHMSEM_ROUNDS", 300);
	unsigned each = from_environment("SHMSEM_PROCESSES", 8);
	struct error err;

	(void)state;
	for (unsigned i = 0; i < 2 * each; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid)
			continue;
		alarm(600);
		for (unsigned round = 0; round < rounds; round++) {
			if (i % 2)
				clean_round(&space);
			else
				serve_round(&space, round + i / 2);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < 2 * each; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_OK);
	assert_false(exists(&space, OBJECT_HEAD, 0));
	assert_false(exists(&space, OBJECT_REQUEST, 0));
	assert_false(exists(&space, OBJECT_DATA, 1));
	assert_false(exists(&space, OBJECT_RESPONSE, 1));
}

/* Killed anywhere, a cleaner leaves what the next one can remove. */
static void a_killed_cleaner_leaves_nothing_that_stays(void **state)
{
	struct name_space space = space_named("killed");
	unsigned rounds = from_environment("SHMSEM_ROUNDS", 300);
	struct server server;
	struct error err;

	(void)state;
	for (unsigned round = 0; round < rounds; round++) {
		struct timespec wait_for = {.tv_nsec = (long)(round % 100) * 2000};
		pid_t pid;
		int status;

		assert_true(server_start(&space, &server));
		server_die(&server);
		if (round % 2)
			assert_int_equal(unlink(path_of(&space, OBJECT_HEAD, 0)), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			reclaim_namespace(&space, NULL, NULL);
			_exit(0);
		}
		nanosleep(&wait_for, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(reclaim_namespace(&space, NULL, &err), STATUS_OK);
		assert_false(exists(&space, OBJECT_HEAD, 0));
		assert_false(exists(&space, OBJECT_REQUEST, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_servers_objects_are_removed_and_told),
		cmocka_unit_test(a_living_server_is_left_alone_and_named),
		cmocka_unit_test(a_living_server_without_head_is_left_alone),
		cmocka_unit_test(objects_of_other_programs_are_left_alone),
		cmocka_unit_test(what_is_no_segment_is_refused_by_name),
		cmocka_unit_test(another_users_objects_stay_unless_asked_for),
		cmocka_unit_test(a_place_holder_of_a_killed_cleaner_is_taken_up),
		cmocka_unit_test(cleaners_and_servers_never_hurt_each_other),
		cmocka_unit_test(a_killed_cleaner_leaves_nothing_that_stays),
	};

	return cmocka_run_group_tests_name("reclaim", tests, NULL, NULL);
}
