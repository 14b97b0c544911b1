#include "bench/fetch_beside.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/fetch_client.h"
#include "bench/fetch_resources.h"
#include "bench/pictures.h"
#include "bench/served.h"
#include "exchange/head_report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_NS  NS_PER_SECOND /* how long each is looked at */
#define GROWS_NS NS_PER_MS     /* how often the file gets a byte */

struct beside {
	struct served *served;
	struct fetch_client *client;
	int grows; /* the file, or -1 */
	uint64_t fetches;
};

/* How often threads of the server have given their CPU up. */
static uint64_t switches(const struct served *served)
{
	AUTO_CLOSEDIR DIR *threads = NULL;
	struct dirent *entry;
	uint64_t total = 0;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task", (int)served->pid);
	threads = opendir(path);
	while (threads && (entry = readdir(threads))) {
		AUTO_FCLOSE FILE *file = NULL;
		char name[sizeof path + 300], line[200];
		unsigned long count;

		snprintf(name, sizeof name, "%s/%s/status", path, entry->d_name);
		file = fopen(name, "re");
		while (file && fgets(line, sizeof line, file))
			if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1)
				total += count;
	}
	return total;
}

/* How many requests the server has got. */
static int requests(const struct served *served, uint64_t *ret, struct error *err)
{
	struct head_report report = {0};
	char name[128];
	AUTO_CLOSE int fd = -1;

	snprintf(name, sizeof name, "/dev/shm/SEG_%s_HEAD", served->space);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || head_report_read(fd, &report))
		return error_os(err, errno, "cannot read '%s'", name);
	*ret = report.counters[WIRE_COUNT_REQUESTS];
	return STATUS_OK;
}

/* Fetches for a while, one after the other or with pauses, while the file grows, if there is one. */
static int fetch(struct beside *beside, uint64_t pause_ns, struct error *err)
{
	const struct timespec pause = clock_timespec(pause_ns);
	uint64_t start = clock_now(), now = start, grown = start;
	int status = STATUS_OK;

	for (beside->fetches = 0; !status && now - start < LOOK_NS; now = clock_now()) {
		if (pause_ns)
			nanosleep(&pause, NULL);
		if (beside->grows >= 0 && now - grown >= GROWS_NS) {
			grown = now;
			if (write(beside->grows, "x", 1) != 1)
				return error_os(err, errno, "cannot write to a file");
		}
		status = served_get(beside->client->client, beside->client->name, err);
		beside->fetches++;
	}
	return status;
}

static int measure_switches(struct bench_session *session, struct beside *beside, struct error *err)
{
	uint64_t begin, idle, busy;
	int status = fetch_do_nothing(LOOK_NS, err); /* it is not idle yet */

	if (status)
		return status;
	begin = switches(beside->served);
	status = fetch_do_nothing(LOOK_NS, err);
	if (status)
		return status;
	idle = switches(beside->served) - begin;
	begin = switches(beside->served);
	status = fetch(beside, 0, err);
	busy = switches(beside->served) - begin;
	if (!status)
		goal_note(&session->report.goals, GOAL_SWITCHES,
			busy > idle ? (double)(busy - idle) : 0);
	return status;
}

/* Of how many fetches the server heard nothing. */
static int measure_share(struct bench_session *session, struct beside *beside, uint64_t pause_ns,
	enum goal goal, struct error *err)
{
	uint64_t before = 0, after = 0;
	int status = requests(beside->served, &before, err);

	if (!status)
		status = fetch(beside, pause_ns, err);
	if (!status)
		status = requests(beside->served, &after, err);
	if (!status)
		goal_note(&session->report.goals, goal,
			100 - 100 * (double)(after - before) / (double)beside->fetches);
	return status;
}

static int measure(struct bench_session *session, struct beside *beside, struct error *err)
{
	char path[sizeof beside->served->folder + 8];
	AUTO_CLOSE int grows = -1;
	int status = fetch(beside, 0, err);

	if (!status)
		status = measure_switches(session, beside, err);
	if (status)
		return status;
	snprintf(path, sizeof path, "%s/log", beside->served->folder);
	grows = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (grows < 0)
		return error_os(err, errno, "cannot create '%s'", path);
	beside->grows = grows;
	status = measure_share(session, beside, 0, GOAL_BESIDE, err);
	return status ? status : measure_share(session, beside, NS_PER_MS, GOAL_BESIDE_ASLEEP, err);
}

int fetch_measure_beside(struct bench_session *session, struct error *err)
{
	const struct served_options options = {.decoders = 1, .seats = 4, .cpu = -1};
	AUTO_PICTURES struct pictures dot = {0};
	AUTO_SERVED struct served served = {0};
	AUTO_FETCH_CLIENT struct fetch_client client = {0};
	struct beside beside = {.served = &served, .client = &client, .grows = -1};
	int status = pictures_draw_dot(&dot, err);

	if (!status)
		status = served_start(&served, &dot, &options, &session->report.machine, err);
	if (!status)
		status = fetch_client_init(&client, &served, dot.list[0].name, false, err);
	return status ? status : measure(session, &beside, err);
}
