#include "server/blocking.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "server/descriptor.h"
#include "server/internal.h"
#include "server/jobs.h"
#include "server/mount_table.h"
#include "server/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Lines, the one for unknown mounts included, which also takes those of mounts beyond that. */
#define LINES_MAX      32
#define HELPERS_A_LINE 2
#define HELPERS_MAX    (HELPERS_A_LINE * LINES_MAX)

/* Helpers that are kept though there is nothing to do. */
#define SPARE_HELPERS 2

/* As helper.c tries an open again that a lease keeps back. */
#define LEASE_RETRY_NS (200 * NS_PER_MS)

enum helper_state {
	HELPER_NONE,
	HELPER_IDLE,
	HELPER_ASKED,
	HELPER_HUNG, /* its task has failed: whatever it says, and when, nobody waits for it */
};

/* What is to be done on one mount. */
struct line {
	int mount;
	unsigned busy; /* helpers that are at it */
	struct file_task *first, **last;
};

struct helper {
	enum helper_state state;
	int socket;
	bool heard; /* the completion thread listens */
	struct line *line;
	struct file_task *task;
};

struct blocking {
	pid_t maker; /* the process that makes helpers; 0: there is none */
	int socket;  /* to it */
	uint64_t number;
	struct line lines[LINES_MAX]; /* [0]: MOUNT_UNKNOWN */
	struct helper helpers[HELPERS_MAX];
};

/* ---- helpers ---- */

/* One more helper, which has nothing to do yet; NULL if none can be made now. */
static struct helper *make_helper(struct blocking *blocking)
{
	struct helper *helper = blocking->helpers;
	int pair[2];
	bool sent;

	while (helper < blocking->helpers + HELPERS_MAX && helper->state != HELPER_NONE)
		helper++;
	if (helper == blocking->helpers + HELPERS_MAX || !blocking->maker ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return NULL;
	sent = descriptor_send(blocking->socket, "", 1, pair[1]);
	close(pair[1]);
	if (!sent) {
		close(pair[0]);
		return NULL;
	}
	*helper = (struct helper){.state = HELPER_IDLE, .socket = pair[0]};
	return helper;
}

static struct helper *idle_helper(struct blocking *blocking)
{
	for (unsigned i = 0; i < HELPERS_MAX; i++)
		if (blocking->helpers[i].state == HELPER_IDLE)
			return &blocking->helpers[i];
	return make_helper(blocking);
}

static void end_helper(struct helper *helper)
{
	close(helper->socket);
	*helper = (struct helper){.state = HELPER_NONE, .socket = -1};
}

static unsigned count_idle(const struct blocking *blocking)
{
	unsigned idle = 0;

	for (unsigned i = 0; i < HELPERS_MAX; i++)
		idle += blocking->helpers[i].state == HELPER_IDLE;
	return idle;
}

/* It does not answer any more orders of that line, which gets another helper if need be. */
static void leave_line(struct blocking *blocking, struct helper *helper, bool alive)
{
	helper->line->busy--;
	helper->line = NULL;
	helper->task = NULL;
	helper->state = HELPER_IDLE;
	if (!alive || count_idle(blocking) > SPARE_HELPERS)
		end_helper(helper);
}

/* False if the helper has ended. */
static bool give(struct server *server, struct helper *helper, struct file_task *task)
{
	unsigned index = (unsigned)(helper - server->blocking->helpers);
	struct epoll_event event = {
		.events = EPOLLIN, .data.u64 = (uint64_t)POOL_HELPER << 32 | index};

	if (!helper->heard && epoll_ctl(server->epoll, EPOLL_CTL_ADD, helper->socket, &event) != 0)
		return false;
	helper->heard = true;
	return descriptor_send(helper->socket, &task->order, sizeof task->order, -1);
}

/* ---- lines ---- */

static struct line *line_of(struct blocking *blocking, int mount)
{
	struct line *none = &blocking->lines[0];

	for (unsigned i = LINES_MAX; i-- > 1;) {
		struct line *line = &blocking->lines[i];

		if (line->mount == mount && (line->busy || line->first))
			return line;
		if (!line->busy && !line->first)
			none = line;
	}
	if (mount == MOUNT_UNKNOWN)
		return &blocking->lines[0];
	none->mount = none == &blocking->lines[0] ? MOUNT_UNKNOWN : mount;
	return none;
}

static void append(struct line *line, struct file_task *task)
{
	task->next = NULL;
	*line->last = task;
	line->last = &task->next;
}

static struct file_task *take_first(struct line *line)
{
	struct file_task *task = line->first;

	if (!task)
		return NULL;
	line->first = task->next;
	if (!task->next)
		line->last = &line->first;
	return task;
}

/* What the store has of that name: if the file is that one still, it need not be read. */
static void tell_known(struct server *server, struct file_task *task)
{
	const struct alias *alias = NULL;

	task->order.has_known = false;
	if (task->order.kind != HELPER_READ || task->again || !task->request)
		return;
	alias = store_alias(&server->store, task->order.name, LINK_DECODE, &task->request->options);
	if (!alias && task->kind == LINK_PROBE)
		alias = store_alias(
			&server->store, task->order.name, LINK_PROBE, &task->request->options);
	if (!alias || alias->image->recent)
		return;
	task->order.has_known = true;
	task->order.known = alias->image->key.file;
}

/* Gives helpers what is in line, as far as the line may have more. */
static void serve_line(struct server *server, struct line *line)
{
	struct blocking *blocking = server->blocking;
	struct helper *helper;

	while (line->busy < HELPERS_A_LINE && line->first) {
		struct file_task *task = line->first;

		if (!task->request && !task->preload && task->order.kind != HELPER_LIST) {
			free(take_first(line));
			continue;
		}
		/* Where that fails, blocking_upkeep tries again. */
		helper = idle_helper(blocking);
		if (!helper)
			return;
		task->order.number = ++blocking->number;
		tell_known(server, task);
		if (!give(server, helper, task)) {
			end_helper(helper);
			return;
		}
		helper->state = HELPER_ASKED;
		helper->line = line;
		helper->task = take_first(line);
		line->busy++;
	}
}

bool blocking_ask(struct server *server, const struct file_task *what)
{
	struct file_task *task = server->blocking ? malloc(sizeof *task) : NULL;
	struct line *line;

	if (!task)
		return false;
	*task = *what;
	if (!task->deadline)
		task->deadline = deadline_after(server->options.decode_timeout_ns);
	task->order.file_bytes = server->options.file_bytes;
	line = line_of(server->blocking, task->mount);
	append(line, task);
	serve_line(server, line);
	decoder_set_timer(server, task->deadline);
	return true;
}

void blocking_forget(struct server *server, const struct request *request)
{
	struct blocking *blocking = server->blocking;

	for (unsigned i = 0; blocking && i < LINES_MAX; i++)
		for (struct file_task *task = blocking->lines[i].first; task; task = task->next)
			if (task->request == request)
				task->request = NULL;
	for (unsigned i = 0; blocking && i < HELPERS_MAX; i++)
		if (blocking->helpers[i].task && blocking->helpers[i].task->request == request)
			blocking->helpers[i].task->request = NULL;
}

/* ---- answers ---- */

/* One whose helper has ended, or said nonsense. */
static void answer_for_dead(struct file_answer *ret)
{
	error_set(&ret->said.err, STATUS_TRY_AGAIN,
		"the process that opened its file has ended; ask again");
	if (ret->fd >= 0)
		close(ret->fd);
	ret->fd = -1;
}

/* What the descriptor's absence means, and what text may not be. */
static void check_answer(struct file_answer *ret)
{
	struct helper_answer *said = &ret->said;
	const struct helper_order *order = &ret->task->order;

	said->path[sizeof said->path - 1] = '\0';
	said->err.text[sizeof said->err.text - 1] = '\0';
	if (said->err.status && !error_status_valid((unsigned)said->err.status))
		said->err.status = STATUS_INTERNAL;
	if (!order->has_known)
		said->is_known = false;
	if (!said->err.status && ret->fd < 0 && !said->is_known)
		error_set(&said->err, STATUS_TRY_AGAIN,
			"no descriptor is left for it (see ulimit -n); ask again");
}

/* A lease keeps it back, and there is time still. */
static bool try_again(const struct file_answer *answer)
{
	return answer->said.err.status && answer->said.refused == EAGAIN && answer->task->request &&
	       answer->task->deadline > deadline_after(LEASE_RETRY_NS);
}

bool blocking_receive(struct server *server, unsigned index, struct file_answer *ret)
{
	struct helper *helper = &server->blocking->helpers[index];
	struct line *line = helper->line;
	ssize_t size;
	bool wanted, alive;

	if (helper->state == HELPER_NONE)
		return false;
	*ret = (struct file_answer){.fd = -1};
	size = descriptor_receive(
		helper->socket, &ret->said, sizeof ret->said, MSG_DONTWAIT, &ret->fd);
	if (size < 0 && errno == EAGAIN)
		return false;
	/* It was not asked: it has ended. */
	if (helper->state == HELPER_IDLE) {
		end_helper(helper);
		return false;
	}
	ret->task = helper->task;
	wanted = helper->state == HELPER_ASKED;
	alive = size == (ssize_t)sizeof ret->said &&
		(!wanted || ret->said.number == ret->task->order.number);
	leave_line(server->blocking, helper, alive);
	if (!wanted) {
		if (ret->fd >= 0)
			close(ret->fd);
		serve_line(server, line);
		return false;
	}
	if (alive)
		check_answer(ret);
	else
		answer_for_dead(ret);
	wanted = !try_again(ret);
	if (!wanted)
		append(line, ret->task);
	serve_line(server, line);
	return wanted;
}

static struct file_task *take_expired(struct blocking *blocking, uint64_t now)
{
	for (unsigned i = 0; i < HELPERS_MAX; i++) {
		struct helper *helper = &blocking->helpers[i];

		if (helper->state != HELPER_ASKED || helper->task->deadline > now)
			continue;
		helper->state = HELPER_HUNG;
		return steal_pointer(&helper->task);
	}
	/* The first in a line is the one that waited longest. */
	for (unsigned i = 0; i < LINES_MAX; i++)
		if (blocking->lines[i].first && blocking->lines[i].first->deadline <= now)
			return take_first(&blocking->lines[i]);
	return NULL;
}

static uint64_t next_deadline(const struct blocking *blocking)
{
	uint64_t next = DEADLINE_NEVER;

	for (unsigned i = 0; i < HELPERS_MAX; i++)
		if (blocking->helpers[i].state == HELPER_ASKED &&
			blocking->helpers[i].task->deadline < next)
			next = blocking->helpers[i].task->deadline;
	for (unsigned i = 0; i < LINES_MAX; i++)
		if (blocking->lines[i].first && blocking->lines[i].first->deadline < next)
			next = blocking->lines[i].first->deadline;
	return next;
}

bool blocking_expire(struct server *server, struct file_answer *ret)
{
	struct file_task *task = server->blocking ? take_expired(server->blocking, clock_now())
						  : NULL;
	char limit[SIZE_TEXT_SIZE];

	if (!task) {
		if (server->blocking)
			decoder_set_timer(server, next_deadline(server->blocking));
		return false;
	}
	*ret = (struct file_answer){.task = task, .fd = -1};
	error_set(&ret->said.err, STATUS_TRY_AGAIN,
		"its file system has not answered for %s (--decode-timeout)",
		format_duration(server->options.decode_timeout_ns, limit));
	return true;
}

/* ---- the process that makes helpers ---- */

static int start_maker(struct server *server, int *ret_socket, pid_t *ret, struct error *err)
{
	char *arguments[] = {(char *)"shmsem", (char *)HELPER_MODE,
		(char *)(server->options.allow_degraded ? "1" : "0"), NULL};
	int pair[2], failed;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_os(err, errno, "cannot start a helper process");
	failed = spawn_self(arguments, pair[1], server->folder, ret);
	close(pair[1]);
	if (failed) {
		close(pair[0]);
		return error_os(err, failed, "cannot start a helper process");
	}
	*ret_socket = pair[0];
	return STATUS_OK;
}

int blocking_start(struct server *server, struct error *err)
{
	struct blocking *blocking = calloc(1, sizeof *blocking);
	int status;

	if (!blocking)
		return error_os(err, ENOMEM, "cannot start a helper process");
	for (unsigned i = 0; i < LINES_MAX; i++)
		blocking->lines[i].last = &blocking->lines[i].first;
	status = start_maker(server, &blocking->socket, &blocking->maker, err);
	if (status) {
		free(blocking);
		return status;
	}
	server->blocking = blocking;
	for (unsigned i = 0; i < SPARE_HELPERS; i++)
		make_helper(blocking);
	return STATUS_OK;
}

/* Whether the process has ended; it is nobody's then. */
static bool maker_ended(struct blocking *blocking)
{
	siginfo_t end = {0};

	if (!blocking->maker)
		return true;
	if (waitid(P_PID, (id_t)blocking->maker, &end, WEXITED | WNOHANG) == 0 && !end.si_pid)
		return false;
	close(blocking->socket);
	blocking->maker = 0;
	return true;
}

void blocking_upkeep(struct server *server)
{
	struct blocking *blocking = server->blocking;
	bool ended;
	pid_t maker;
	int socket;

	if (!blocking)
		return;
	store_lock(&server->store);
	ended = maker_ended(blocking);
	store_unlock(&server->store);
	if (ended && start_maker(server, &socket, &maker, NULL))
		return;
	store_lock(&server->store);
	if (ended) {
		blocking->maker = maker;
		blocking->socket = socket;
	}
	for (unsigned i = 0; i < LINES_MAX; i++)
		serve_line(server, &blocking->lines[i]);
	store_unlock(&server->store);
}

void blocking_stop(struct server *server)
{
	struct blocking *blocking = server->blocking;
	struct file_task *task;

	if (!blocking)
		return;
	for (unsigned i = 0; i < HELPERS_MAX; i++) {
		free(blocking->helpers[i].task);
		if (blocking->helpers[i].state != HELPER_NONE)
			end_helper(&blocking->helpers[i]);
	}
	for (unsigned i = 0; i < LINES_MAX; i++)
		while ((task = take_first(&blocking->lines[i])))
			free(task);
	/* Its helpers get the same signal when it ends. */
	if (blocking->maker) {
		close(blocking->socket);
		kill(blocking->maker, SIGKILL);
		waitid(P_PID, (id_t)blocking->maker, &(siginfo_t){0}, WEXITED);
	}
	free(blocking);
	server->blocking = NULL;
}
