#include "server/pool.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "base/process.h"
#include "config.h"
#include "server/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define DECODER_SPARE (UINT64_C(64) << 20)

/* What a decoder without an image may use of the processor between two looks at it, and after
 * how many looks beyond that it is ended. */
#define IDLE_CPU_NS    (2 * NS_PER_MS)
#define SUSPICIONS_MAX 2

/* What it may have in memory then: it gives back what a large image took. */
#define IDLE_MEMORY_MAX (UINT64_C(128) << 20)

static int listen_to(struct server *server, int fd, enum pool_source source, unsigned decoder)
{
	struct epoll_event event = {
		.events = EPOLLIN, .data.u64 = (uint64_t)source << 32 | decoder};

	return epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
}

int pool_start_process(struct server *server, unsigned index, struct error *err)
{
	struct decoder *decoder = &server->decoders[index];
	int status = decoder_start(decoder, err);

	if (status)
		return status;
	if (listen_to(server, decoder->socket, POOL_SOCKET, index) == 0 &&
		listen_to(server, decoder->pidfd, POOL_PROCESS, index) == 0)
		return STATUS_OK;
	status = error_os(err, errno, "cannot start a decoder");
	decoder_stop(decoder);
	return status;
}

struct decoder_setup pool_decoder_setup(const struct server_options *options, uint64_t reserve)
{
	struct decoder_setup setup = {.reserve = reserve,
		.cpu_seconds = options->decode_timeout_ns / NS_PER_SECOND + 1,
		.isolate = options->isolate,
		.allow_degraded = options->allow_degraded};
	uint64_t codec;

	/* What has no limit, or one beyond any address space, limits nothing. */
	if (!options->file_bytes || !options->limits.memory ||
		!size_multiply(options->limits.memory, 3, &codec) ||
		!size_add(codec, options->file_bytes, &setup.memory) ||
		!size_add(setup.memory, DECODER_SPARE, &setup.memory) || setup.memory > INT64_MAX)
		setup.memory = 0;
	return setup;
}

int pool_start(struct server *server, struct error *err)
{
	int status = STATUS_OK;

	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	server->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	server->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (server->epoll < 0 || server->timer < 0 || server->wake < 0 ||
		listen_to(server, server->timer, POOL_TIMER, 0) != 0 ||
		listen_to(server, server->wake, POOL_WAKE, 0) != 0)
		return error_os(err, errno, "cannot start the server");
	for (unsigned i = 0; i < server->options.decoders && !status; i++) {
		server->decoders[i].segment_fd = server->objects.data[i].fd;
		server->decoders[i].starts =
			&head_server(&server->objects.head)->counters[WIRE_COUNT_DECODER_STARTS];
		server->decoders[i].setup = pool_decoder_setup(
			&server->options, server->options.cache);
		status = pool_start_process(server, i, err);
		if (!status)
			decoder_set_state(server, i, DECODER_IDLE);
	}
	return status;
}

void pool_restart(struct server *server, unsigned decoder)
{
	decoder_set_state(server, decoder, DECODER_STARTING);
	server_wake_supply(server);
}

bool pool_all_dead(const struct server *server)
{
	for (unsigned i = 0; i < server->options.decoders; i++)
		if (server->decoders[i].state != DECODER_DEAD)
			return false;
	return true;
}

void pool_ignore(struct server *server, unsigned decoder)
{
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, server->decoders[decoder].socket, NULL);
}

bool pool_reap(struct server *server, unsigned index, siginfo_t *ret)
{
	struct decoder *decoder = &server->decoders[index];

	/* A process that is just being started has the descriptor, too: to close it here is not enough. */
	epoll_ctl(server->epoll, EPOLL_CTL_DEL, decoder->pidfd, NULL);
	if (decoder_reap(decoder, ret))
		return true;
	/* A debugger that is attached has its end first. */
	listen_to(server, decoder->pidfd, POOL_PROCESS, index);
	return false;
}

static uint64_t cpu_time(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return 0;
	return (uint64_t)used.tv_sec * NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

/* Bytes that a process has in memory for itself; 0 if nobody can tell, as with a sanitizer, which has
 * most of them. */
static uint64_t private_memory(pid_t pid)
{
	unsigned long long resident = 0, shared = 0;
	char path[32], text[128] = "";
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (SANITIZED || fd < 0 || read(fd, text, sizeof text - 1) <= 0 ||
		sscanf(text, "%*u %llu %llu", &resident, &shared) != 2 || shared > resident)
		return 0;
	return (resident - shared) * page_size();
}

/*
 * An image may have taken the decoder over. One that has nothing to do, and uses the processor, much
 * memory, or room where there is no image, is ended; what it holds in the store is as it may have made it
 * anyway. One that has had no image yet is only slow to start.
 */
static void end_busy_idler(struct server *server, unsigned index)
{
	const struct decoder *decoder = &server->decoders[index];
	struct decoder_work *work = &server->work[index];
	bool looked = decoder->state == DECODER_IDLE && decoder->message.number &&
		      work->number == decoder->message.number;
	uint64_t cpu = decoder->state == DECODER_IDLE ? cpu_time(decoder->pid) : 0;

	/* It has not run since. */
	if (looked && cpu == work->clean)
		return;
	if (looked && (cpu > work->cpu + IDLE_CPU_NS || store_has_excess(&server->store, index) ||
			      private_memory(decoder->pid) > IDLE_MEMORY_MAX))
		work->suspicions++;
	else
		work->suspicions = 0;
	work->cpu = cpu;
	work->clean = looked && !work->suspicions ? cpu : 0;
	work->number = decoder->state == DECODER_IDLE ? decoder->message.number : 0;
	if (work->suspicions == SUSPICIONS_MAX)
		kill(decoder->pid, SIGKILL);
}

void pool_upkeep(struct server *server)
{
	store_lock(&server->store);
	for (unsigned i = 0; i < server->options.decoders; i++) {
		end_busy_idler(server, i);
		if (server->decoders[i].state == DECODER_DEAD)
			pool_restart(server, i);
	}
	store_unlock(&server->store);
}

void pool_stop(struct server *server)
{
	for (unsigned i = 0; server->decoders && i < server->options.decoders; i++)
		decoder_stop(&server->decoders[i]);
	if (server->epoll >= 0)
		close(server->epoll);
	if (server->timer >= 0)
		close(server->timer);
	if (server->wake >= 0)
		close(server->wake);
}
