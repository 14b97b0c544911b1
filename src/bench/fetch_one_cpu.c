#include "bench/fetch_one_cpu.h"

#include "bench/fetch_client.h"
#include "bench/served.h"

#include <sched.h>

/* Two servers and their clients, one pair of which never spins. */
struct one_cpu {
	struct served served[2];
	struct fetch_client clients[2];
};

static int start_pair(struct one_cpu *pairs, size_t index, const struct pictures *pictures,
	const struct machine *machine, int cpu, struct error *err)
{
	struct served *served = &pairs->served[index];
	struct fetch_client *client = &pairs->clients[index];
	const struct served_options options = {
		.decoders = 1, .seats = 2, .cpu = cpu, .confined = index == 0};
	int status = served_start(served, pictures, &options, machine, err);

	if (status)
		return status;
	*client = (struct fetch_client){.served = served};
	return index == 0 ? served_connect_here(served, &client->client, err)
			  : served_connect(served, &client->client, err);
}

static int measure(struct bench_session *session, struct one_cpu *pairs, struct error *err)
{
	struct bench_subject subjects[2] = {
		ping_subject(&pairs->clients[0]), ping_subject(&pairs->clients[1])};
	struct bench_result *rows;
	int status;

	subjects[0].name = "never spinning";
	status = session_measure(
		session, "fetch", "empty request, one CPU", 0, subjects, 2, &rows, err);
	/* By the mean: what fails now and then costs many times what the others do. */
	if (!status && rows[1].statistics.mean > 0)
		goal_note(&session->report.goals, GOAL_ONE_CPU,
			rows[0].statistics.mean / rows[1].statistics.mean);
	return status;
}

static int measure_pairs(struct bench_session *session, struct one_cpu *pairs,
	const struct pictures *pictures, int cpu, struct error *err)
{
	int status = machine_run_on(cpu, err);

	for (size_t i = 0; !status && i < 2; i++)
		status = start_pair(pairs, i, pictures, &session->report.machine, cpu, err);
	return status ? status : measure(session, pairs, err);
}

int fetch_measure_one_cpu(
	struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	const struct machine *machine = &session->report.machine;
	int cpu = machine->responder_cpu >= 0 ? machine->responder_cpu : sched_getcpu();
	struct one_cpu pairs = {0};
	cpu_set_t before;
	bool moved = !sched_getaffinity(0, sizeof before, &before);
	int status = measure_pairs(session, &pairs, pictures, cpu, err);

	for (size_t i = 0; i < 2; i++) {
		fetch_client_release(&pairs.clients[i]);
		served_stop(&pairs.served[i]);
	}
	if (moved)
		sched_setaffinity(0, sizeof before, &before);
	return status;
}
