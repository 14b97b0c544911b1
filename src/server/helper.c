#include "server/helper.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "config.h"
#include "server/descriptor.h"
#include "server/landlock.h"
#include "server/listing.h"
#include "server/sandbox.h"
#include "server/shard_reader.h"
#include "server/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define COPY_SIZE ((size_t)256 << 10)

/* Linux 6.3; Debian 12's headers do not know it. */
#define NOT_EXECUTABLE 0x0008U

#define CHANGED "changed while it was read; ask again"

/* How long an open is tried again that a lease keeps back, before other orders are worked on. */
#define OPEN_RETRY_NS (100 * NS_PER_MS)

/* ---- what is copied ---- */

static int new_copy(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("shmsem", flags | NOT_EXECUTABLE);

	return fd < 0 && errno == EINVAL ? memfd_create("shmsem", flags) : fd;
}

static int seal(int fd, struct error *err)
{
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		return error_os(err, errno, "cannot seal a copy");
	return STATUS_OK;
}

static int copy_bytes(int from, uint64_t offset, int to, uint64_t size, struct error *err)
{
	static char buffer[COPY_SIZE];

	for (uint64_t done = 0; done < size;) {
		size_t most = size - done < sizeof buffer ? (size_t)(size - done) : sizeof buffer;
		ssize_t got = pread_full(from, buffer, most, (off_t)(offset + done));

		if (got < 0)
			return error_os(err, errno, "cannot be read");
		if ((size_t)got < most)
			return error_set(err, STATUS_TRY_AGAIN, "became shorter while it was read");
		if (write_full(to, buffer, most) != 0)
			return error_os(err, errno, "no memory for a copy of the file");
		done += most;
	}
	return STATUS_OK;
}

/* What was read while the file changed is no version of it. */
static int check_unchanged(const struct resolved *file, struct error *err)
{
	struct file_key now;

	if (!files_key(file->fd, &now) || memcmp(&now, &file->key, sizeof now) != 0)
		return error_set(err, STATUS_TRY_AGAIN, CHANGED);
	return STATUS_OK;
}

/* Whether the member of the file's name, as it is or with an extension, is at the file's place. */
static bool has_member(const struct shard_content *content, const struct resolved *file)
{
	const char *member = file->path + file->shard + 1;
	const size_t length = strlen(member);

	for (uint64_t i = 0; i < content->header.count; i++) {
		const struct shard_entry *entry = &content->entries[i];
		const char *name = content->names + entry->name;

		if (entry->offset == file->offset && entry->size == file->size &&
			entry->kind == SHARD_FILE && !strncmp(name, member, length) &&
			(!name[length] || (strrchr(name, '.') == name + length &&
						  files_image_extension(name))))
			return true;
	}
	return false;
}

/* The stamps of a shard that is being written may not show that other members are where those of its
 * index were: its headers are read once more. */
static int check_member(const struct resolved *file, struct error *err)
{
	struct shard_content content;
	int status = shard_read(file->fd, file->key.size, &content, err);

	if (status)
		return status;
	if (!has_member(&content, file))
		status = error_set(err, STATUS_TRY_AGAIN, CHANGED);
	shard_content_release(&content);
	return status;
}

static int make_copy(const struct resolved *file, int copy, struct error *err)
{
	int status = copy_bytes(file->fd, file->offset, copy, file->size, err);

	if (!status && file->shard && file->recent)
		status = check_member(file, err);
	return status ? status : check_unchanged(file, err);
}

static int make_index(const struct resolved *file, int copy, struct error *err)
{
	struct shard_content content;
	int status = shard_read(file->fd, file->key.size, &content, err);

	if (status)
		return status;
	status = check_unchanged(file, err);
	if (!status && shard_content_write(&content, copy) != 0)
		status = error_os(err, errno, "no memory for the index of the shard");
	shard_content_release(&content);
	return status;
}

/* What `make` makes of the file, sealed, in the place of its descriptor. */
static int replace(struct resolved *file,
	int (*make)(const struct resolved *file, int copy, struct error *err), struct error *err)
{
	AUTO_CLOSE int copy = new_copy();
	int status;

	if (copy < 0)
		return error_os(err, errno, "no memory for a copy of the file");
	status = make(file, copy, err);
	if (!status)
		status = seal(copy, err);
	close(file->fd);
	file->fd = status ? -1 : steal_fd(&copy);
	return status;
}

/* ---- orders ---- */

/* What of an open file is wanted; false if it is in a shard, and nobody knows where. */
static bool take_part(const struct helper_order *order, struct resolved *file)
{
	if (!file->shard)
		return true;
	if (!order->has_shard || memcmp(&order->shard, &file->key, sizeof file->key) != 0 ||
		(file->recent && !order->indexed))
		return false;
	file->offset = order->offset;
	file->size = order->size;
	return true;
}

static void resolve(
	const struct helper_order *order, struct helper_answer *answer, struct resolved *file)
{
	struct error *err = &answer->err;
	const struct files_rules rules = {
		.resolve = order->kind == HELPER_OPEN ? RESOLVE_NO_XDEV : 0,
		.retry_ns = OPEN_RETRY_NS};
	int status = files_resolve_by(HELPER_FOLDER, order->name, &rules, file, err);

	answer->refused = file->refused;
	if (!status && !take_part(order, file)) {
		err->status = STATUS_OK;
		answer->indexed = true;
		if (replace(file, make_index, err))
			error_prefix(err, err->status, "%.*s", (int)file->shard, file->path);
		return;
	}
	if (!status && order->kind == HELPER_READ && file->size)
		status = files_check(file, order->file_bytes, err);
	if (status)
		return;
	/* It may still say what names without an extension are not. */
	err->status = STATUS_OK;
	if (order->kind == HELPER_OPEN)
		return;
	answer->is_known = file->shard && !file->size;
	answer->is_known |= order->has_known && !file->recent &&
			    !memcmp(&file->key, &order->known, sizeof file->key);
	if (answer->is_known) {
		close(file->fd);
		file->fd = -1;
	} else if (replace(file, make_copy, err)) {
		error_prefix(err, err->status, "%s", order->name);
	}
}

static void list(
	const struct helper_order *order, struct helper_answer *answer, struct resolved *file)
{
	AUTO_FREE char *text = NULL;
	AUTO_CLOSE int copy = -1;
	size_t size, mounts;

	if (listing_read(HELPER_FOLDER, order->name, &text, &size, &mounts, &answer->err))
		return;
	copy = new_copy();
	if (copy < 0 || write_full(copy, text, size) != 0)
		error_os(&answer->err, errno, "no memory for the list of names");
	else if (!seal(copy, &answer->err))
		file->fd = steal_fd(&copy);
	answer->size = size;
	answer->mounts = mounts;
}

static bool serve(int socket, const struct helper_order *order)
{
	struct helper_answer answer = {.number = order->number};
	struct resolved file = {.fd = -1};
	struct timespec pause = clock_timespec(order->pause_ns);
	bool sent;

	if (order->pause_ns)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	if (order->kind == HELPER_LIST)
		list(order, &answer, &file);
	else
		resolve(order, &answer, &file);
	answer.recent = file.recent;
	answer.watchable = file.watchable;
	answer.shard = (uint32_t)file.shard;
	answer.key = file.key;
	answer.opened_at = file.opened_at;
	memcpy(answer.path, file.path, sizeof answer.path);
	sent = descriptor_send(socket, &answer, sizeof answer, answer.err.status ? -1 : file.fd);
	if (file.fd >= 0)
		close(file.fd);
	return sent;
}

static void run(int socket, pid_t parent)
{
	struct helper_order order;
	int none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(STATUS_UNAVAILABLE);
	close(HELPER_SOCKET);
	while (descriptor_receive(socket, &order, sizeof order, 0, &none) == sizeof order)
		if (!serve(socket, &order))
			break;
	_exit(STATUS_OK);
}

/* ---- the process that makes them ---- */

/* It gives up what it does not need: helpers only read, below the folder. Not its capabilities: what
 * the server may read, they may. */
static int confine(bool allow_degraded, struct error *err)
{
	const struct sandbox sandbox = {
		.profile = SANDBOX_HELPER, .allow_degraded = allow_degraded};
	int version = landlock_version(), failed = sandbox_prepare(err);

	if (failed)
		return failed;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
		close_range(HELPER_FOLDER + 1, ~0U, 0))
		return error_os(err, errno, "cannot confine a helper");
	/* One that hangs for ever must not keep a pipe of the server's open. What a sanitizer finds,
	 * it says there. */
	if (!SANITIZED && close_range(0, STDERR_FILENO, 0))
		return error_os(err, errno, "cannot confine a helper");
	fd_fill_standard();
	failed = version ? landlock_read_only(version, HELPER_FOLDER) : 0;
	if (!failed && !(sandbox_missing() & SANDBOX_NO_SECCOMP))
		failed = syscalls_restrict(&sandbox);
	return failed ? error_os(err, failed, "cannot confine a helper") : STATUS_OK;
}

int helper_main(int argc, char **argv)
{
	pid_t self = getpid();
	struct error err;
	char byte;
	int socket;

	prctl(PR_SET_NAME, "shmsem-files");
	/* Helpers that end are nobody's concern. */
	signal(SIGCHLD, SIG_IGN);
	if (argc != 3 || confine(argv[2][0] == '1', &err))
		return STATUS_INTERNAL;
	while (descriptor_receive(HELPER_SOCKET, &byte, sizeof byte, 0, &socket) == sizeof byte) {
		if (socket >= 0 && fork() == 0)
			run(socket, self);
		if (socket >= 0)
			close(socket);
	}
	/* Nothing is left to be done, and a sanitizer could not look for leaks from in here. */
	_exit(STATUS_OK);
}
