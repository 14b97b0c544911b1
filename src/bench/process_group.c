#include "bench/process_group.h"

#include "base/clock.h"
#include "bench/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct process_group_member {
	struct watchdog watchdog;
	int control;
};

struct process_group {
	struct process_group_member *members;
	size_t count;
	unsigned repeat;
};

/* What a member says once it is ready, and after each order. */
struct process_group_reply {
	struct error error;
	uint64_t took_ns;
};

static int receive(struct process_group_member *member, void *data, size_t size, struct error *err)
{
	for (;;) {
		ssize_t count = recv(member->control, data, size, MSG_WAITALL);
		int status;

		watchdog_progress(&member->watchdog);
		if (count == (ssize_t)size)
			return STATUS_OK;
		if (count >= 0)
			return error_set(err, STATUS_UNAVAILABLE, "the other side closed");
		if (errno != EINTR)
			return error_os(err, errno, "recv");
		status = watchdog_check(&member->watchdog, err);
		if (status)
			return status;
	}
}

static int transmit(
	struct process_group_member *member, const void *data, size_t size, struct error *err)
{
	return send(member->control, data, size, MSG_NOSIGNAL) == (ssize_t)size
		       ? STATUS_OK
		       : error_os(err, errno, "send");
}

static int follow_order(const struct bench_subject *subject, uint64_t operations, struct error *err)
{
	for (uint64_t i = 0; i < operations; i++) {
		int status = subject->before ? subject->before(subject->context, err) : STATUS_OK;

		if (status)
			return status;
		status = subject->run(subject->context, 1, err);
		if (status)
			return status;
	}
	return STATUS_OK;
}

static _Noreturn void work(struct process_group_member *member, const struct bench_subject *subject)
{
	struct error err = {0};
	uint64_t operations;

	while (!receive(member, &operations, sizeof operations, &err)) {
		struct process_group_reply reply = {0};
		uint64_t before = clock_now();

		follow_order(subject, operations, &reply.error);
		reply.took_ns = clock_now() - before;
		if (transmit(member, &reply, sizeof reply, &err))
			break;
	}
	_exit(0);
}

static int await_reply(struct process_group_member *member, uint64_t *ret_ns, struct error *err)
{
	struct process_group_reply reply;
	int status = receive(member, &reply, sizeof reply, err);

	if (status)
		return status;
	if (reply.error.status)
		return error_set(err, reply.error.status, "%s", reply.error.text);
	*ret_ns = reply.took_ns;
	return STATUS_OK;
}

static int hire(struct process_group *process_group,
	int (*make)(void *context, size_t index, struct bench_subject *ret, struct error *err),
	void *context, struct error *err)
{
	struct process_group_member *member = &process_group->members[process_group->count];
	struct process_group_reply ready = {0};
	struct bench_subject subject;
	pid_t parent = getpid(), child;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return error_os(err, errno, "socketpair");
	child = fork();
	if (child < 0) {
		close(ends[0]);
		close(ends[1]);
		return error_os(err, errno, "fork");
	}
	if (!child) {
		member->control = ends[1];
		if (watchdog_begin_child(&member->watchdog, parent, &ready.error) ||
			make(context, process_group->count, &subject, &ready.error) ||
			transmit(member, &ready, sizeof ready, &ready.error)) {
			transmit(member, &ready, sizeof ready, NULL);
			_exit(1);
		}
		work(member, &subject);
	}
	close(ends[1]);
	*member = (struct process_group_member){
		.watchdog = {.peer = child, .peer_is_child = true}, .control = ends[0]};
	process_group->count++;
	return STATUS_OK;
}

int process_group_new(size_t count,
	int (*make)(void *context, size_t index, struct bench_subject *ret, struct error *err),
	void *context, struct process_group **ret, struct error *err)
{
	struct process_group *process_group = calloc(1, sizeof *process_group);
	uint64_t ns;
	int status = STATUS_OK;

	if (!process_group ||
		!(process_group->members = calloc(count, sizeof *process_group->members))) {
		free(process_group);
		return error_os(err, ENOMEM, "cannot start %zu processes", count);
	}
	for (size_t i = 0; !status && i < count; i++)
		status = hire(process_group, make, context, err);
	for (size_t i = 0; !status && i < count; i++)
		status = await_reply(&process_group->members[i], &ns, err);
	if (status)
		process_group_free(process_group);
	else
		*ret = process_group;
	return status;
}

struct process_group *process_group_free(struct process_group *process_group)
{
	if (!process_group)
		return NULL;
	for (size_t i = 0; i < process_group->count; i++) {
		kill(process_group->members[i].watchdog.peer, SIGKILL);
		while (waitpid(process_group->members[i].watchdog.peer, NULL, 0) < 0 &&
			errno == EINTR)
			;
		close(process_group->members[i].control);
	}
	free(process_group->members);
	free(process_group);
	return NULL;
}

static int run_all(
	struct process_group *process_group, uint64_t operations, double *ret_ns, struct error *err)
{
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < process_group->count; i++)
		status = transmit(&process_group->members[i], &operations, sizeof operations, err);
	for (size_t i = 0; !status && i < process_group->count; i++) {
		uint64_t ns = 0;

		status = await_reply(&process_group->members[i], &ns, err);
		if (ret_ns)
			ret_ns[i] = (double)ns;
	}
	return status;
}

int process_group_run_once(struct process_group *process_group, double *ret_ns, struct error *err)
{
	return run_all(process_group, 1, ret_ns, err);
}

static int run_members(void *context, uint64_t operations, struct error *err)
{
	struct process_group *process_group = context;

	return run_all(process_group, operations * process_group->repeat, NULL, err);
}

struct bench_subject process_group_subject(
	struct process_group *process_group, const char *name, unsigned repeat)
{
	process_group->repeat = repeat;
	return (struct bench_subject){.name = name, .context = process_group, .run = run_members};
}
