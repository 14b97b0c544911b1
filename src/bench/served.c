#include "bench/served.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/temporary.h"
#include "bench/watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_NS (10 * NS_PER_SECOND)
#define STOP_MS  5000

static int make_folder(struct served *served, const struct pictures *pictures, struct error *err)
{
	int status = temporary_folder(served->folder, sizeof served->folder, &served->lock, err);

	return status ? status : pictures_write(pictures, served->folder, err);
}

static _Noreturn void run_server(
	const struct served *served, const struct served_options *options, pid_t parent)
{
	char decoders[16], seats[16], cache[32];
	const char *argv[16] = {"shmsem", "serve", "--quiet", "--namespace", served->space,
		"--decoders", decoders, "--seats", seats};
	size_t count = 9;

	snprintf(decoders, sizeof decoders, "%u", options->decoders);
	snprintf(seats, sizeof seats, "%u", options->seats);
	snprintf(cache, sizeof cache, "%llu", (unsigned long long)options->cache);
	if (options->cache) {
		argv[count++] = "--cache";
		argv[count++] = cache;
	}
	argv[count++] = served->folder;
	if (!options->confined)
		machine_run_anywhere(served->machine);
	else if (machine_run_on(options->cpu, NULL))
		_exit(STATUS_INTERNAL);
	/* What the measuring process notes is to end this one, before the exec, too. */
	watchdog_end();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent)
		execv("/proc/self/exe", (char **)argv);
	_exit(STATUS_INTERNAL);
}

int served_error(const struct shmsem_error *from, struct error *err)
{
	return error_set(err, from->status, "%s", from->message);
}

static int connect_here(
	const struct served *served, uint64_t wait_ns, struct shmsem **ret, struct error *err)
{
	const struct shmsem_connect_options options = {
		.name_space = served->space, .wait_ns = wait_ns};
	struct shmsem_error error;

	return shmsem_connect(ret, &options, &error) ? served_error(&error, err) : STATUS_OK;
}

static int connect_within(
	const struct served *served, uint64_t wait_ns, struct shmsem **ret, struct error *err)
{
	cpu_set_t before;
	bool moved = !sched_getaffinity(0, sizeof before, &before);
	int status;

	machine_run_anywhere(served->machine);
	status = connect_here(served, wait_ns, ret, err);
	if (moved)
		sched_setaffinity(0, sizeof before, &before);
	return status;
}

int served_connect(const struct served *served, struct shmsem **ret, struct error *err)
{
	return connect_within(served, 0, ret, err);
}

int served_connect_here(const struct served *served, struct shmsem **ret, struct error *err)
{
	return connect_here(served, 0, ret, err);
}

static int pin_threads(pid_t pid, int cpu, struct error *err)
{
	AUTO_CLOSEDIR DIR *threads = NULL;
	struct dirent *entry;
	cpu_set_t set;
	char path[64];

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads))) {
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);

		if (thread > 0 && sched_setaffinity(thread, sizeof set, &set))
			return error_os(err, errno, "cannot put the server on CPU %d", cpu);
	}
	return threads ? STATUS_OK : error_os(err, errno, "cannot see the server's threads");
}

int served_start(struct served *served, const struct pictures *pictures,
	const struct served_options *options, const struct machine *machine, struct error *err)
{
	struct shmsem *client;
	pid_t parent = getpid();
	int status;

	*served = (struct served){.machine = machine};
	status = make_folder(served, pictures, err);
	if (status)
		return status;
	snprintf(served->space, sizeof served->space, "bench-%d-%llx", (int)parent,
		(unsigned long long)clock_now());
	served->pid = fork();
	if (served->pid < 0) {
		served->pid = 0;
		return error_os(err, errno, "fork");
	}
	if (!served->pid)
		run_server(served, options, parent);
	status = connect_within(served, START_NS, &client, err);
	if (status)
		return error_prefix(err, status, "the server of the measurement");
	shmsem_close(client);
	return options->cpu < 0 ? STATUS_OK : pin_threads(served->pid, options->cpu, err);
}

/* SIGTERM lets it unlink its objects; it has a few seconds for that. */
static void end_server(pid_t pid)
{
	const struct timespec moment = clock_timespec(NS_PER_MS);
	uint64_t deadline = deadline_after(STOP_MS * NS_PER_MS);

	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (clock_now() > deadline)
			kill(pid, SIGKILL);
		nanosleep(&moment, NULL);
	}
}

void served_stop(struct served *served)
{
	if (served->pid)
		end_server(served->pid);
	if (served->folder[0])
		temporary_remove_folder(served->folder, &served->lock);
	*served = (struct served){0};
}

int served_get(struct shmsem *client, const char *name, struct error *err)
{
	const struct shmsem_request request = {.name = name, .flags = SHMSEM_KEEP_ORIENTATION};
	struct shmsem_error error;
	struct shmsem_image image;

	if (shmsem_fetch(client, &request, &image, &error))
		return served_error(&error, err);
	shmsem_release(&image);
	return STATUS_OK;
}

int served_touch(const struct served *served, const char *name, struct error *err)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", served->folder, name);
	return utimensat(AT_FDCWD, path, NULL, 0) ? error_os(err, errno, "cannot touch '%s'", path)
						  : STATUS_OK;
}

uint64_t served_process_time(pid_t pid)
{
	struct timespec time;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &time))
		return 0;
	return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

uint64_t served_cpu_time(const struct served *served)
{
	uint64_t total = served_process_time(served->pid);
	AUTO_CLOSEDIR DIR *threads = NULL;
	struct dirent *entry;
	char path[64];

	/* Children are listed by the thread that started them. */
	snprintf(path, sizeof path, "/proc/%d/task", (int)served->pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads))) {
		AUTO_FCLOSE FILE *file = NULL;
		char name[sizeof path + 300];
		int child;

		snprintf(name, sizeof name, "%s/%s/children", path, entry->d_name);
		file = fopen(name, "re");
		while (file && fscanf(file, "%d", &child) == 1)
			total += served_process_time(child);
	}
	return total;
}

uint64_t served_memory(const struct served *served)
{
	AUTO_CLOSEDIR DIR *objects = opendir("/dev/shm");
	struct dirent *entry;
	uint64_t total = 0;
	char start[80];

	snprintf(start, sizeof start, "SEG_%s", served->space);
	while (objects && (entry = readdir(objects))) {
		const char *end = strrchr(entry->d_name, '_');
		struct stat about;

		if (!strncmp(entry->d_name, start, strlen(start)) && end && !strcmp(end, "_DATA") &&
			!fstatat(dirfd(objects), entry->d_name, &about, 0))
			total += (uint64_t)about.st_blocks * 512;
	}
	return total;
}
