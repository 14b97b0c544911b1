#include "bench/fetch.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/decode.h"
#include "bench/fetch_beside.h"
#include "bench/fetch_cpu.h"
#include "bench/fetch_crowd.h"
#include "bench/fetch_lookup.h"
#include "bench/fetch_many.h"
#include "bench/fetch_one_cpu.h"
#include "bench/fetch_resources.h"
#include "bench/fetch_scale.h"
#include "bench/plain.h"
#include "bench/served.h"
#include "bench/transport.h"

#include <errno.h>
#include <string.h>

/* Between requests "with pauses": long enough for both sides to be asleep. */
#define PAUSE_NS NS_PER_MS

#define WORD_BYTES   64
#define SUBJECTS     64
#define NAME_SIZE    80
#define ICON_SIDE    64
#define MEDIUM_LEAST 500000  /* pixels */
#define LARGE_LEAST  1000000 /* above these, what touching the memory costs counts most */

/* Once before anything is timed: right pixels, and in the store from now on. */
static int check_picture(
	struct fetch_client *client, const struct picture *picture, struct error *err)
{
	AUTO_DECODE_JOB struct decode_job job = {0};
	int status = decode_job_init(&job, picture, 1, DECODE_SHMSEM, err);

	return status ? status : fetch_check_pixels(client, &job, err);
}

/* A limit, an empty request, every stored picture, and the classic exchange of the smallest and the
 * largest of them; one after the other or with pauses. */
struct answers {
	struct transport_pair *classic[2];
	struct fetch_client *clients; /* the first pings */
	struct bench_subject subjects[SUBJECTS];
	char names[SUBJECTS][NAME_SIZE];
	size_t stored; /* the subjects before this one are ours */
	size_t count;
};

static void answers_release(struct answers *answers, size_t pictures)
{
	for (size_t i = 0; i <= pictures; i++)
		fetch_client_release(&answers->clients[i]);
	transport_pair_free(answers->classic[0]);
	transport_pair_free(answers->classic[1]);
}

static int connect_all(struct answers *answers, const struct served *served,
	const struct pictures *pictures, struct error *err)
{
	int status = fetch_client_init(&answers->clients[0], served, "", false, err);

	if (status)
		return status;
	answers->subjects[1] = ping_subject(&answers->clients[0]);
	answers->count = 2;
	for (size_t i = 0; i < pictures->count && answers->count < SUBJECTS - 2; i++) {
		struct fetch_client *client = &answers->clients[i + 1];
		char *name = answers->names[answers->count];

		snprintf(name, NAME_SIZE, "stored %.48s", pictures->list[i].name);
		status = fetch_client_init(client, served, pictures->list[i].name, false, err);
		if (status)
			return status;
		status = check_picture(client, &pictures->list[i], err);
		if (status)
			return status;
		answers->subjects[answers->count++] = fetch_subject(client, name);
	}
	answers->stored = answers->count;
	return STATUS_OK;
}

/* Nothing is decoded there either: the payload has the size of the picture's pixels. */
static int add_classic(struct answers *answers, size_t index, const struct picture *picture,
	int responder_cpu, struct error *err)
{
	struct transport_pair **pair = &answers->classic[index];
	char *name = answers->names[answers->count];
	AUTO_DECODE_JOB struct decode_job job = {0};
	int status = decode_job_init(&job, picture, 1, DECODE_PROBE, err);

	if (status)
		return status;
	status = transport_pair_new(
		transport_find("classic"), (size_t)job.info.bytes, responder_cpu, pair, err);
	if (status)
		return status;
	snprintf(name, NAME_SIZE, "classic %.48s", picture->name);
	answers->subjects[answers->count] = transport_pair_subject(*pair);
	answers->subjects[answers->count++].name = name;
	return STATUS_OK;
}

static int add_baseline(struct bench_session *session, struct answers *answers,
	const struct pictures *pictures, struct error *err)
{
	int cpu = session->report.machine.responder_cpu;
	int status = add_classic(answers, 0, &pictures->list[0], cpu, err);

	if (status || pictures->count == 1)
		return status;
	return add_classic(answers, 1, &pictures->list[pictures->count - 1], cpu, err);
}

static void note_answers(
	struct bench_session *session, const struct bench_result *rows, size_t count, bool asleep)
{
	struct goal_values *goals = &session->report.goals;
	double least = 0, most = 0;

	if (asleep) {
		goal_note(goals, GOAL_EMPTY_ASLEEP, rows[1].ratio);
		return;
	}
	goal_note(goals, GOAL_EMPTY_HOT, rows[1].ratio);
	for (size_t i = 2; i < count; i++) {
		double p50 = rows[i].statistics.p50;

		goal_note(goals, GOAL_STORED, rows[i].ratio);
		least = i == 2 || p50 < least ? p50 : least;
		most = p50 > most ? p50 : most;
	}
	if (count > 3 && least > 0)
		goal_note(goals, GOAL_STORED_SAME, most / least);
}

static int measure_answers(
	struct bench_session *session, struct answers *answers, bool asleep, struct error *err)
{
	AUTO_TRANSPORT_PAIR struct transport_pair *limit = NULL;
	struct bench_result *rows;
	int status = transport_pair_new(transport_find(asleep ? "posix-sleep-place" : "cache-line"),
		WORD_BYTES, session->report.machine.responder_cpu, &limit, err);

	if (status)
		return status;
	answers->subjects[0] = transport_pair_subject(limit);
	for (size_t i = 0; i < answers->count; i++)
		answers->subjects[i].pause_ns = asleep ? PAUSE_NS : 0;
	status = session_measure(session, "fetch", asleep ? "1 ms apart" : "hot", 0,
		answers->subjects, answers->count, &rows, err);
	if (status)
		return status;
	note_answers(session, rows, answers->stored, asleep);
	return STATUS_OK;
}

static int measure_with(struct bench_session *session, const struct served *served,
	struct answers *answers, const struct pictures *pictures, struct error *err)
{
	int status = connect_all(answers, served, pictures, err);

	if (status)
		return status;
	status = add_baseline(session, answers, pictures, err);
	if (status)
		return status;
	status = measure_answers(session, answers, false, err);
	return status ? status : measure_answers(session, answers, true, err);
}

/* The server, too, stays on the responder's CPU: nothing is decoded while this is timed. */
static int measure_stored(
	struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	const struct served_options options = {.decoders = 1,
		.seats = (unsigned)pictures->count + 4,
		.cpu = session->report.machine.responder_cpu};
	AUTO_FREE struct answers *answers = calloc(1, sizeof *answers);
	AUTO_FREE struct fetch_client *clients = calloc(pictures->count + 1, sizeof *clients);
	AUTO_SERVED struct served served = {0};
	int status;

	if (!answers || !clients)
		return error_os(err, ENOMEM, "cannot measure");
	status = served_start(&served, pictures, &options, &session->report.machine, err);
	if (status)
		return status;
	answers->clients = clients;
	status = measure_with(session, &served, answers, pictures, err);
	answers_release(answers, pictures->count);
	return status;
}

/* Which goal a fresh image of some size counts for. */
static enum goal fresh_goal(const struct decode_job *job)
{
	const struct image_info *info = &job->info;
	uint64_t samples = (uint64_t)info->file_width * info->file_height * info->file_channels;

	if (job->format == IMAGE_FORMAT_JPEG)
		return GOAL_FRESH;
	if (info->file_bits == 16)
		return GOAL_PNG_DEEP;
	/* What hardly becomes smaller is noise. */
	return job->picture->size >= samples / 10 * 9 ? GOAL_PNG_NOISE : GOAL_PNG;
}

static void note_fresh(struct bench_session *session, const struct bench_result *rows,
	const struct decode_job *job)
{
	struct goal_values *goals = &session->report.goals;
	const struct image_info *info = &job->info;

	if ((uint64_t)info->width * info->height >= MEDIUM_LEAST)
		goal_note(goals, fresh_goal(job), rows[1].ratio);
	if (info->width == ICON_SIDE && info->height == ICON_SIDE)
		goal_note(goals, GOAL_FRESH_ICON,
			(rows[1].statistics.p50 - rows[0].statistics.p50) / 1000);
}

/* The plain library's decode, a fetch that cannot be answered without one, and the classic exchange
 * whose responder decodes as the limit does. */
static int measure_fresh(struct bench_session *session, const struct served *served,
	struct decode_job *job, struct error *err)
{
	AUTO_FETCH_CLIENT struct fetch_client client = {0};
	AUTO_TRANSPORT_PAIR struct transport_pair *classic = NULL;
	struct bench_subject subjects[3];
	struct bench_result *rows;
	uint64_t pixels;
	char group[64];
	int status = fetch_client_init(&client, served, job->picture->name, true, err);

	if (status)
		return status;
	status = fetch_check_pixels(&client, job, err);
	if (status)
		return status;
	status = transport_pair_new_making((size_t)job->info.bytes,
		session->report.machine.responder_cpu, decode_make, job, &classic, err);
	if (status)
		return status;
	subjects[0] = decode_subject(job);
	subjects[1] = fetch_subject(&client, "decoded fresh");
	subjects[2] = transport_pair_subject(classic);
	subjects[2].name = "classic, decoded fresh";
	snprintf(group, sizeof group, "%.32s %ux%u", job->picture->name, job->info.width,
		job->info.height);
	status = session_measure(session, "fetch", group, job->info.bytes, subjects, 3, &rows, err);
	if (status)
		return status;
	note_fresh(session, rows, job);
	pixels = (uint64_t)job->info.width * job->info.height;
	return job->format == IMAGE_FORMAT_JPEG && pixels >= MEDIUM_LEAST && pixels < LARGE_LEAST
		       ? fetch_measure_cpu(session, &client, job, err)
		       : STATUS_OK;
}

static int measure_picture(
	struct bench_session *session, const struct picture *picture, struct error *err)
{
	const struct pictures only = {.list = (struct picture *)picture, .count = 1};
	struct served_options options = {.decoders = 1, .seats = 4, .cpu = -1};
	AUTO_SERVED struct served served = {0};
	AUTO_DECODE_JOB struct decode_job job = {0};
	int status = decode_job_init(&job, picture, 1, PLAIN_ROWS, err);

	if (status)
		return status;
	/* Room for two: space is used again, as in a server that has run for a while. */
	options.cache = 2 * job.info.bytes + (1 << 20);
	status = served_start(&served, &only, &options, &session->report.machine, err);
	return status ? status : measure_fresh(session, &served, &job, err);
}

/* The picture that many clients decode: the first that is neither small nor very large. */
static const struct picture *crowd_picture(const struct pictures *pictures)
{
	const struct picture *found = pictures_find(pictures, "photo.png");

	return found ? found : &pictures->list[0];
}

size_t fetch_groups(const struct bench_session *session, const struct pictures *pictures)
{
	unsigned cpus = (unsigned)session->report.machine.allowed;
	size_t groups = 4 + FETCH_LOOKUP_GROUPS + pictures->count + FETCH_RESOURCE_GROUPS +
			FETCH_SCALE_GROUPS + FETCH_MANY_GROUPS;

	for (unsigned clients = cpus > 1 ? 2 : 1; clients <= cpus;
		clients = fetch_next_crowd(clients, cpus))
		groups++;
	return groups;
}

int fetch_measure(struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	const struct picture *crowd = crowd_picture(pictures);
	unsigned cpus = (unsigned)session->report.machine.allowed;
	int status = measure_stored(session, pictures, err);

	if (status)
		return status;
	status = fetch_measure_lookup(session, err);
	if (status)
		return status;
	status = fetch_measure_beside(session, err);
	if (status)
		return status;
	status = fetch_measure_one_cpu(session, pictures, err);
	if (status)
		return status;
	for (size_t i = 0; i < pictures->count; i++) {
		status = measure_picture(session, &pictures->list[i], err);
		if (status)
			return status;
	}
	for (unsigned clients = cpus > 1 ? 2 : 1; clients <= cpus;
		clients = fetch_next_crowd(clients, cpus)) {
		status = fetch_measure_crowd(session, crowd, clients, err);
		if (status)
			return status;
	}
	status = fetch_measure_stored_crowds(session, crowd, err);
	if (status)
		return status;
	status = fetch_measure_resources(session, pictures, err);
	if (status)
		return status;
	status = fetch_measure_scale(session, err);
	return status ? status : fetch_measure_many(session, err);
}
