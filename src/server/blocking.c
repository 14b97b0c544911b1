#include "server/blocking.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "server/descriptor.h"
#include "server/file_order.h"
#include "server/helper_pool.h"
#include "server/internal.h"
#include "server/jobs.h"
#include "server/notice.h"
#include "server/pool.h"
#include "server/shards.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* As helper.c tries an open again that a lease keeps back. */
#define LEASE_RETRY_NS (200 * NS_PER_MS)

/* Names that are remembered of what was no shard, at the most. */
#define FOLDERS_MAX 256

struct blocking {
	struct helper_pool pool;
	/* Hashes of names (file_order_shard) of what was a folder when it was last asked for, each in its
	 * place, or zero: nothing is read of these that others could wait for. */
	uint64_t folders[FOLDERS_MAX];
	uint64_t number; /* of the last order */
	struct file_lines lines;
};

/* ---- helpers ---- */

/* It does not answer any more orders of that line, which gets another helper if need be. */
static void leave_line(struct blocking *blocking, struct helper *helper, bool alive)
{
	helper->line->busy--;
	helper->line = NULL;
	helper->task = NULL;
	helper->reads = 0;
	helper->state = HELPER_IDLE;
	if (!alive || helper_pool_has_spare(&blocking->pool))
		helper_end(helper);
}

/* False if the helper has ended. */
static bool give(struct server *server, struct helper *helper, struct file_task *task)
{
	unsigned index = (unsigned)(helper - server->blocking->pool.helpers);
	struct epoll_event event = {
		.events = EPOLLIN, .data.u64 = (uint64_t)POOL_HELPER << 32 | index};

	if (!helper->heard && epoll_ctl(server->epoll, EPOLL_CTL_ADD, helper->socket, &event) != 0)
		return false;
	helper->heard = true;
	return descriptor_send(helper->socket, &task->order, sizeof task->order, -1);
}

/* ---- tasks ---- */

/* Whether a helper may be making the index that the task needs: that is done once. */
static bool has_to_wait(const struct blocking *blocking, const struct file_task *task)
{
	uint64_t hash = file_order_shard(task);

	if (blocking->folders[hash % FOLDERS_MAX] == hash)
		return false;
	for (unsigned i = 0; i < HELPERS_MAX; i++)
		if (blocking->pool.helpers[i].reads == hash)
			return true;
	return false;
}

/* The next task of the line, those aside that nobody waits for any more; NULL if there is none that can be
 * done now. What a list of names needs comes last. */
static struct file_task *next_task(const struct blocking *blocking, struct file_line *line)
{
	struct file_task *task = line->first, *next, *last = NULL;

	for (; task; task = next) {
		next = task->next;
		if (!task->user && task->order.kind != HELPER_LIST) {
			file_line_take(line, task);
			free(task);
		} else if (last && task->listed_until) {
			continue;
		} else if (!has_to_wait(blocking, task)) {
			if (!task->listed_until)
				return task;
			last = task;
		}
	}
	return last;
}

/* Gives helpers what is in line, as far as the line may have more. */
static void serve_line(struct server *server, struct file_line *line)
{
	struct blocking *blocking = server->blocking;
	struct file_task *task;
	struct helper *helper;

	while (line->busy < HELPERS_A_LINE && (task = next_task(blocking, line))) {
		/* Where that fails, blocking_upkeep tries again. */
		helper = helper_pool_idle(&blocking->pool);
		if (!helper)
			return;
		task->order.number = ++blocking->number;
		file_order_complete(server, task);
		helper->since = shards_now(server->shards);
		if (!give(server, helper, task)) {
			helper_end(helper);
			return;
		}
		helper->state = HELPER_HAS_TASK;
		helper->line = line;
		helper->task = task;
		helper->reads = task->order.has_shard ? 0 : file_order_shard(task);
		file_line_take(line, task);
		line->busy++;
	}
}

bool blocking_ask(struct server *server, const struct file_task *what)
{
	struct file_task *task = server->blocking ? malloc(sizeof *task) : NULL;
	struct file_line *line;

	if (!task)
		return false;
	*task = *what;
	if (!task->deadline)
		task->deadline = deadline_after(server->options.decode_timeout_ns);
	task->order.file_bytes = server->options.file_bytes;
	line = file_line_of(&server->blocking->lines, task->mount);
	file_line_append(line, task);
	serve_line(server, line);
	decoder_set_timer(server, task->deadline);
	return true;
}

bool blocking_hangs(const struct server *server, int mount)
{
	const struct helper *helpers = server->blocking ? server->blocking->pool.helpers : NULL;
	const struct file_line *line = helpers ? file_line_of(&server->blocking->lines, mount)
					       : NULL;
	unsigned hung = 0;

	for (unsigned i = 0; line && i < HELPERS_MAX; i++)
		hung += helpers[i].state == HELPER_HUNG && helpers[i].line == line;
	return hung == HELPERS_A_LINE;
}

void blocking_forget(struct server *server, const struct request *request)
{
	struct blocking *blocking = server->blocking;
	struct helper *helpers;

	if (!blocking)
		return;
	helpers = blocking->pool.helpers;
	file_lines_forget(&blocking->lines, request);
	for (unsigned i = 0; i < HELPERS_MAX; i++)
		if (helpers[i].task && helpers[i].task->request == request)
			file_task_forget(helpers[i].task);
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

	said->err.text[sizeof said->err.text - 1] = '\0';
	if (said->err.status && !error_status_valid((unsigned)said->err.status))
		said->err.status = STATUS_INTERNAL;
	if (!order->has_known && !order->has_shard)
		said->is_known = false;
	if (!said->err.status && ret->fd < 0 && !said->is_known && !said->indexed)
		error_set_os(&said->err, STATUS_TRY_AGAIN, EMFILE,
			"no descriptor is left for it (see ulimit -n); ask again");
}

/* Keeps the index of a shard, even if nobody waits for it any more. */
static void keep_index(struct server *server, uint64_t since, struct file_answer *ret)
{
	struct helper_answer *said = &ret->said;
	struct resolved shard = {.key = said->key, .recent = said->recent};
	struct error damage = {0};

	said->path[sizeof said->path - 1] = '\0';
	if (said->shard >= sizeof said->path || said->path[said->shard] != '/')
		said->shard = 0;
	if (!said->indexed || ret->fd < 0)
		return;
	shard.shard = said->shard;
	shard.listed = !ret->task || ret->task->listed_until;
	strcpy(shard.path, said->path);
	if (!said->err.status &&
		(!said->shard || !shards_put(server->shards, &shard, since, ret->fd, &damage)))
		error_os_as(
			&said->err, STATUS_TRY_AGAIN, errno, "no index of its shard can be kept");
	if (damage.status)
		notice_add(server, &damage);
	close(ret->fd);
	ret->fd = -1;
}

/* Notes what there is by a name that may have been a shard's. */
static void note_kind(struct blocking *blocking, uint64_t hash, const struct helper_answer *said)
{
	uint64_t *noted = &blocking->folders[hash % FOLDERS_MAX];

	if (said->shard && *noted == hash)
		*noted = 0;
	else if (!said->shard && !said->err.status)
		*noted = hash;
}

/* A lease keeps it back, and there is time still. */
static bool try_again(const struct file_answer *answer)
{
	return answer->said.err.status && answer->said.refused == EAGAIN && answer->task->request &&
	       answer->task->deadline > deadline_after(LEASE_RETRY_NS);
}

bool blocking_receive(struct server *server, unsigned index, struct file_answer *ret)
{
	struct helper *helper = &server->blocking->pool.helpers[index];
	struct file_line *line = helper->line;
	uint64_t since = helper->since, reads = helper->reads;
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
		helper_end(helper);
		return false;
	}
	ret->task = helper->task;
	wanted = helper->state == HELPER_HAS_TASK;
	alive = size == (ssize_t)sizeof ret->said &&
		(!wanted || ret->said.number == ret->task->order.number);
	leave_line(server->blocking, helper, alive);
	if (size == (ssize_t)sizeof ret->said) {
		keep_index(server, since, ret);
		if (reads)
			note_kind(server->blocking, reads, &ret->said);
	}
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
		file_line_append(line, ret->task);
	serve_line(server, line);
	return wanted;
}

static struct file_task *take_expired(struct blocking *blocking, uint64_t now)
{
	for (unsigned i = 0; i < HELPERS_MAX; i++) {
		struct helper *helper = &blocking->pool.helpers[i];

		if (helper->state != HELPER_HAS_TASK || helper->task->deadline > now)
			continue;
		helper->state = HELPER_HUNG;
		return steal_pointer(&helper->task);
	}
	return file_lines_take_expired(&blocking->lines, now);
}

static uint64_t next_deadline(const struct blocking *blocking)
{
	const struct helper *helpers = blocking->pool.helpers;
	uint64_t next = file_lines_next_deadline(&blocking->lines);

	for (unsigned i = 0; i < HELPERS_MAX; i++)
		if (helpers[i].state == HELPER_HAS_TASK && helpers[i].task->deadline < next)
			next = helpers[i].task->deadline;
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
	format_duration(server->options.decode_timeout_ns, limit);
	/* It has answered, and was asked again. */
	if (task->order.pause_ns)
		error_set(&ret->said.err, STATUS_TRY_AGAIN,
			"no whole answer came for %s (serve --decode-timeout); ask again", limit);
	else
		error_set_os(&ret->said.err, STATUS_TRY_AGAIN, ETIMEDOUT,
			"its file system has not answered for %s (serve --decode-timeout)", limit);
	return true;
}

/* ---- start and stop ---- */

int blocking_start(struct server *server, struct error *err)
{
	struct blocking *blocking = calloc(1, sizeof *blocking);
	int status;

	if (!blocking)
		return error_os(err, ENOMEM, "cannot start a helper process");
	file_lines_init(&blocking->lines);
	status = helper_maker_start(
		&blocking->pool.maker, server->folder, server->options.allow_degraded, err);
	if (status) {
		free(blocking);
		return status;
	}
	server->blocking = blocking;
	helper_pool_fill(&blocking->pool);
	return STATUS_OK;
}

void blocking_upkeep(struct server *server)
{
	struct blocking *blocking = server->blocking;
	struct helper_maker maker;
	bool ended;

	if (!blocking)
		return;
	store_lock(&server->store);
	ended = helper_maker_ended(&blocking->pool.maker);
	store_unlock(&server->store);
	if (ended &&
		helper_maker_start(&maker, server->folder, server->options.allow_degraded, NULL))
		return;
	store_lock(&server->store);
	if (ended)
		blocking->pool.maker = maker;
	for (unsigned i = 0; i < FILE_LINES_MAX; i++)
		serve_line(server, &blocking->lines.lines[i]);
	store_unlock(&server->store);
}

void blocking_stop(struct server *server)
{
	struct blocking *blocking = server->blocking;

	if (!blocking)
		return;
	helper_pool_release(&blocking->pool);
	file_lines_release(&blocking->lines);
	free(blocking);
	server->blocking = NULL;
}
