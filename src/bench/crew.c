#include "bench/crew.h"

#include "base/clock.h"
#include "bench/watchdog.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct crew_member {
	struct watchdog watchdog;
	int control;
};

struct crew {
	struct crew_member *members;
	size_t count;
	unsigned repeat;
};

/* What a member says once it is ready, and after each order. */
struct crew_reply {
	struct error error;
	uint64_t took_ns;
};

static int receive(struct crew_member *member, void *data, size_t size, struct error *err)
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

static int transmit(struct crew_member *member, const void *data, size_t size, struct error *err)
{
	return send(member->control, data, size, MSG_NOSIGNAL) == (ssize_t)size
		       ? STATUS_OK
		       : error_os(err, errno, "send");
}

static int follow_order(const struct bench_subject *subject, uint64_t operations, struct error *err)
{
	int status = STATUS_OK;

	for (uint64_t i = 0; !status && i < operations; i++) {
		if (subject->before)
			status = subject->before(subject->context, err);
		if (!status)
			status = subject->run(subject->context, 1, err);
	}
	return status;
}

static _Noreturn void work(struct crew_member *member, const struct bench_subject *subject)
{
	struct error err = {0};
	uint64_t operations;

	while (!receive(member, &operations, sizeof operations, &err)) {
		struct crew_reply reply = {0};
		uint64_t before = clock_now();

		follow_order(subject, operations, &reply.error);
		reply.took_ns = clock_now() - before;
		if (transmit(member, &reply, sizeof reply, &err))
			break;
	}
	_exit(0);
}

static int await_reply(struct crew_member *member, uint64_t *ret_ns, struct error *err)
{
	struct crew_reply reply;
	int status = receive(member, &reply, sizeof reply, err);

	if (!status && reply.error.status)
		return error_set(err, reply.error.status, "%s", reply.error.text);
	if (!status)
		*ret_ns = reply.took_ns;
	return status;
}

static int hire(struct crew *crew,
	int (*make)(void *context, size_t index, struct bench_subject *ret, struct error *err),
	void *context, struct error *err)
{
	struct crew_member *member = &crew->members[crew->count];
	struct crew_reply ready = {0};
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
			make(context, crew->count, &subject, &ready.error) ||
			transmit(member, &ready, sizeof ready, &ready.error)) {
			transmit(member, &ready, sizeof ready, NULL);
			_exit(1);
		}
		work(member, &subject);
	}
	close(ends[1]);
	*member = (struct crew_member){
		.watchdog = {.peer = child, .peer_is_child = true}, .control = ends[0]};
	crew->count++;
	return STATUS_OK;
}

int crew_new(size_t count,
	int (*make)(void *context, size_t index, struct bench_subject *ret, struct error *err),
	void *context, struct crew **ret, struct error *err)
{
	struct crew *crew = calloc(1, sizeof *crew);
	uint64_t ns;
	int status = STATUS_OK;

	if (!crew || !(crew->members = calloc(count, sizeof *crew->members))) {
		free(crew);
		return error_os(err, ENOMEM, "cannot start %zu processes", count);
	}
	for (size_t i = 0; !status && i < count; i++)
		status = hire(crew, make, context, err);
	for (size_t i = 0; !status && i < count; i++)
		status = await_reply(&crew->members[i], &ns, err);
	if (status)
		crew_free(crew);
	else
		*ret = crew;
	return status;
}

struct crew *crew_free(struct crew *crew)
{
	if (!crew)
		return NULL;
	for (size_t i = 0; i < crew->count; i++) {
		kill(crew->members[i].watchdog.peer, SIGKILL);
		while (waitpid(crew->members[i].watchdog.peer, NULL, 0) < 0 && errno == EINTR)
			;
		close(crew->members[i].control);
	}
	free(crew->members);
	free(crew);
	return NULL;
}

static int run_all(struct crew *crew, uint64_t operations, double *ret_ns, struct error *err)
{
	int status = STATUS_OK;

	for (size_t i = 0; !status && i < crew->count; i++)
		status = transmit(&crew->members[i], &operations, sizeof operations, err);
	for (size_t i = 0; !status && i < crew->count; i++) {
		uint64_t ns = 0;

		status = await_reply(&crew->members[i], &ns, err);
		if (ret_ns)
			ret_ns[i] = (double)ns;
	}
	return status;
}

int crew_run_once(struct crew *crew, double *ret_ns, struct error *err)
{
	return run_all(crew, 1, ret_ns, err);
}

static int run_crew(void *context, uint64_t operations, struct error *err)
{
	struct crew *crew = context;

	return run_all(crew, operations * crew->repeat, NULL, err);
}

struct bench_subject crew_subject(struct crew *crew, const char *name, unsigned repeat)
{
	crew->repeat = repeat;
	return (struct bench_subject){.name = name, .context = crew, .run = run_crew};
}
