/*
 * Clients that fetch, hold and release images at random, while their files are changed by every means,
 * the store makes room, and clients and the server are killed. No client may ever get pixels that are
 * older than the newest change that had returned when it asked, or others than a version of the file
 * had, or an error without a reason, or no answer.
 *
 *	fault-operations SECONDS FETCHES SEED SHMSEM NS FOLDER [OPTION...]
 *
 * It serves FOLDER with "SHMSEM serve -N NS OPTION... FOLDER", and ends when SECONDS are over and
 * FETCHES images were fetched. Prints "FETCHES FOUND CHANGES KILLS WRONG FIRST_ERROR", where FOUND is
 * how many were found without asking the server.
 */
#include "base/clock.h"
#include "client/client.h"
#include "client/connection.h"
#include "exchange/seats.h"
#include "shmsem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define IMAGES    40
#define CLIENTS   3
#define HELD      6
#define SIDE      48 /* pixels, a side */
#define ROW       (SIDE * 3)
#define FILE_MAX  (2 * SIDE * ROW)
#define ANSWER_NS (20 * NS_PER_SECOND) /* later is never */

struct shared {
	/* The version of an image whose change has begun, and has returned, last. */
	_Atomic uint32_t begun[IMAGES], returned[IMAGES];
	_Atomic uint64_t fetches, found, wrong;
	_Atomic bool over;
	atomic_flag said;
	char error[1024];
};

static struct shared *shared;
static const char *space, *folder;
static uint64_t chance_state;

/* xorshift64 (Marsaglia). */
static unsigned chance(unsigned below)
{
	chance_state ^= chance_state << 13;
	chance_state ^= chance_state >> 7;
	chance_state ^= chance_state << 17;
	return (unsigned)(chance_state >> 33) % below;
}

static void __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
	va_list arguments;

	atomic_fetch_add(&shared->wrong, 1);
	if (atomic_flag_test_and_set(&shared->said))
		return;
	va_start(arguments, format);
	vsnprintf(shared->error, sizeof shared->error, format, arguments);
	va_end(arguments);
}

static void name_of(unsigned image, char name[32])
{
	snprintf(name, 32, "%si%u", image % 4 ? "" : "d/", image);
}

/* ---- pixels, which say what they are of ---- */

static void make_row(unsigned image, uint32_t version, uint8_t row[ROW])
{
	const uint8_t two[6] = {(uint8_t)image, (uint8_t)version, (uint8_t)(version >> 8),
		(uint8_t)(version >> 16), (uint8_t)(version >> 24), 0xa5};

	for (size_t i = 0; i < ROW; i++)
		row[i] = two[i % sizeof two];
}

static uint8_t *put_chunk(uint8_t *at, const char *kind, const uint8_t *data, size_t size)
{
	uint32_t words[2] = {__builtin_bswap32((uint32_t)size)};

	memcpy(at, words, 4);
	memcpy(at + 4, kind, 4);
	memcpy(at + 8, data, size);
	words[0] = __builtin_bswap32((uint32_t)crc32(0, at + 4, (uInt)size + 4));
	memcpy(at + 8 + size, words, 4);
	return at + size + 12;
}

/* A PNG of that version; its size. */
static size_t make_file(unsigned image, uint32_t version, uint8_t file[FILE_MAX])
{
	static const uint8_t signature[] = "\x89PNG\r\n\x1a\n";
	static const uint8_t header[13] = {0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 2};
	uint8_t rows[SIDE][1 + ROW], packed[FILE_MAX / 2], *at = file + 8;
	uLongf size = sizeof packed;

	for (int i = 0; i < SIDE; i++) {
		rows[i][0] = 0;
		make_row(image, version, rows[i] + 1);
	}
	compress2(packed, &size, rows[0], sizeof rows, 1);
	memcpy(file, signature, 8);
	at = put_chunk(at, "IHDR", header, sizeof header);
	at = put_chunk(at, "IDAT", packed, size);
	return (size_t)(put_chunk(at, "IEND", NULL, 0) - file);
}

/* Whether all pixels are of one version of the image, which is stored; its left upper part will do. */
static bool one_version(const struct shmsem_image *got, unsigned image, uint32_t *ret)
{
	const uint8_t *pixels = got->pixels;
	uint8_t row[ROW];

	*ret = pixels[1] | (uint32_t)pixels[2] << 8 | (uint32_t)pixels[3] << 16 |
	       (uint32_t)pixels[4] << 24;
	make_row(image, *ret, row);
	for (uint32_t y = 0; y < got->info.height; y++)
		if (memcmp(pixels + (size_t)y * got->info.stride, row, got->info.stride) != 0)
			return false;
	return got->info.channels == 3 && got->info.stride <= ROW;
}

/* ---- changes ---- */

static void write_file(const char *path, int flags, const uint8_t *file, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	if (fd < 0 || write(fd, file, size) != (ssize_t)size)
		complain("cannot write %s", path);
	close(fd);
}

static void write_mapped(const char *path, const uint8_t *file, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *memory = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		complain("cannot map %s", path);
		return;
	}
	memcpy(memory, file, size);
	munmap(memory, size);
	close(fd);
}

static void write_with_times_kept(const char *path, const uint8_t *file, size_t size)
{
	struct stat before = {0};

	stat(path, &before);
	write_file(path, O_TRUNC, file, size);
	utimensat(AT_FDCWD, path, (struct timespec[]){before.st_atim, before.st_mtim}, 0);
}

/* The new version, in a file beside it, takes the path. */
static void replace(unsigned image, const char *path, const char *beside, unsigned means)
{
	char target[PATH_MAX], text[32];

	switch (means) {
	case 0:
		if (renameat2(AT_FDCWD, beside, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
			rename(beside, path); /* the first one */
		break;
	case 1:
		unlink(path);
		if (link(beside, path) != 0)
			complain("cannot link %s", path);
		break;
	case 2:
		snprintf(text, sizeof text, "%starget%u", image % 4 ? "" : "../", image);
		snprintf(target, sizeof target, "%s/target%u", folder, image);
		rename(beside, target);
		if (symlink(text, beside) != 0)
			complain("cannot link %s", beside);
		rename(beside, path);
		break;
	default:
		rename(beside, path);
	}
}

/* Of a file that is a link, or has several names, the server looks at the status each time, which a
 * write through a mapping changes before it writes. */
static bool plain(const char *path)
{
	struct stat status;

	return lstat(path, &status) != 0 || (S_ISREG(status.st_mode) && status.st_nlink == 1);
}

static void change(unsigned image)
{
	uint32_t version = atomic_load(&shared->begun[image]) + 1;
	uint8_t file[FILE_MAX];
	size_t size = make_file(image, version, file);
	char name[32], path[PATH_MAX], beside[PATH_MAX];
	unsigned means = chance(7);

	name_of(image, name);
	snprintf(path, sizeof path, "%s/%s.png", folder, name);
	snprintf(beside, sizeof beside, "%s/.%u", folder, image);
	/* Of what lies beside it, it may be a link. */
	atomic_store(&shared->begun[image], version);
	if (means > 2) {
		unlink(beside);
		write_file(beside, 0, file, size);
	}
	if (means == 0)
		write_file(path, O_TRUNC, file, size);
	else if (means == 1 && plain(path))
		write_mapped(path, file, size);
	else if (means <= 2)
		write_with_times_kept(path, file, size);
	else
		replace(image, path, beside, means - 3);
	atomic_store(&shared->returned[image], version);
}

/* ---- a client ---- */

struct held {
	struct shmsem_image image;
	unsigned number;
	uint32_t version;
};

static void let_go(struct held *held)
{
	uint32_t version;

	if (!held->image.pixels)
		return;
	if (!one_version(&held->image, held->number, &version) || version != held->version)
		complain("image %u changed while it was held: %u, then %u", held->number,
			held->version, version);
	shmsem_release(&held->image);
}

static uint64_t index_hits(const struct shmsem *client)
{
	const struct connection *connection = client->connection;

	return connection ? atomic_load(&head_seat_counters(&connection->head, connection->seat)
						 ->index_hits)
			  : 0;
}

static void fetch(struct shmsem *client, struct held *held)
{
	static const uint32_t crops[] = {0, 16, 32};
	unsigned image = held->number = chance(chance(2) ? IMAGES : 5);
	uint32_t oldest = atomic_load(&shared->returned[image]), crop = crops[chance(3)];
	uint64_t until = deadline_after(ANSWER_NS), hits = index_hits(client);
	struct shmsem_error error = {0};
	char name[40];
	int status;

	name_of(image, name);
	strcat(name, chance(2) ? ".png" : "");
	do {
		status = shmsem_fetch(client,
			&(struct shmsem_request){
				.name = name, .crop_width = crop, .crop_height = crop},
			&held->image, &error);
	} while (status == SHMSEM_UNAVAILABLE && clock_now() < until);
	if (status) {
		/* In the middle of a change it may be half a file, or none; but an answer it is. */
		if (status == SHMSEM_UNAVAILABLE || error.os_error == ETIMEDOUT ||
			atomic_load(&shared->begun[image]) == oldest)
			complain("%s: %d, %s", name, status, error.message);
		return;
	}
	atomic_fetch_add(&shared->fetches, 1);
	atomic_fetch_add(&shared->found, index_hits(client) == hits + 1);
	if (!one_version(&held->image, image, &held->version) ||
		held->image.info.width != (crop ? crop : SIDE))
		complain("%s: not the pixels of any version", name);
	else if (held->version < oldest || held->version > atomic_load(&shared->begun[image]))
		complain("%s: version %u, though %u was written; it was %s", name, held->version,
			oldest, index_hits(client) > hits ? "found" : "asked for");
}

static void be_client(uint64_t seed)
{
	const struct shmsem_connect_options options = {
		.name_space = space, .wait_ns = ANSWER_NS, .timeout_ns = ANSWER_NS};
	struct held held[HELD] = {0};
	struct shmsem_error error;
	struct shmsem *client;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	chance_state = seed;
	if (shmsem_connect(&client, &options, &error)) {
		complain("%s", error.message);
		_exit(1);
	}
	while (!atomic_load(&shared->over)) {
		struct held *one = &held[chance(chance(4) ? 1 : HELD)];

		let_go(one);
		fetch(client, one);
	}
	for (int i = 0; i < HELD; i++)
		let_go(&held[i]);
	shmsem_close(client);
	_exit(0);
}

/* ---- all of them ---- */

static pid_t start_client(void)
{
	uint64_t seed = (uint64_t)chance(1u << 30) << 20 | 1;
	pid_t child = fork();

	if (child == 0)
		be_client(seed);
	return child;
}

static pid_t start_server(char **arguments)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO) >= 0)
		execv(*arguments, arguments);
	_exit(127);
}

static void end(pid_t child, int signal)
{
	kill(child, signal);
	waitpid(child, NULL, 0);
}

/* Before it is dead, and when it is, files go on changing. */
static void kill_server(pid_t *server, char **arguments)
{
	unsigned image = chance(5);

	kill(*server, SIGKILL);
	if (chance(2))
		change(image);
	waitpid(*server, NULL, 0);
	if (chance(2))
		change(image);
	*server = start_server(arguments);
}

/* Kills something now and then, and changes a file; how much was killed. */
static unsigned disturb(pid_t *server, pid_t clients[CLIENTS], char **arguments)
{
	unsigned what = chance(1000);
	pid_t *client = &clients[chance(CLIENTS)];

	change(chance(chance(2) ? IMAGES : 5));
	nanosleep(&(struct timespec){.tv_nsec = (long)chance(4) * 500000}, NULL);
	if (what < 3)
		kill_server(server, arguments);
	if (what < 3 || what > 7)
		return what < 3;
	end(*client, SIGKILL);
	*client = start_client();
	return 1;
}

int main(int argc, char **argv)
{
	char *arguments[16] = {argc > 6 ? argv[4] : NULL, "serve", "-N"};
	unsigned changes = 0, kills = 0;
	uint64_t until, fetches;
	pid_t server, clients[CLIENTS];

	if (argc < 7 || argc > 15)
		return 64;
	until = deadline_after(strtoull(argv[1], NULL, 10) * NS_PER_SECOND);
	fetches = strtoull(argv[2], NULL, 10);
	chance_state = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15 | 1;
	arguments[3] = argv[5];
	space = argv[5];
	folder = argv[6];
	for (int i = 7; i < argc; i++)
		arguments[i - 3] = argv[i];
	arguments[argc - 3] = argv[6];
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 71;
	for (unsigned i = 0; i < IMAGES; i++)
		change(i);
	server = start_server(arguments);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = start_client();
	while (!atomic_load(&shared->wrong) &&
		(clock_now() < until || atomic_load(&shared->fetches) < fetches)) {
		kills += disturb(&server, clients, arguments);
		changes++;
	}
	atomic_store(&shared->over, true);
	for (int i = 0; i < CLIENTS; i++)
		waitpid(clients[i], NULL, 0);
	end(server, SIGTERM);
	printf("%" PRIu64 " %" PRIu64 " %u %u %" PRIu64 " %s\n", shared->fetches, shared->found,
		changes, kills, shared->wrong, shared->error);
	return 0;
}
