#include "bench/python.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "bench/served.h"
#include "bench/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* About what a sample takes, of which there are some in each run. */
#define SAMPLE_NS   (250 * NS_PER_US)
#define OUTPUT_MAX  (16 << 20)
#define NOT_STARTED 127

/* Rows of shmsem/_bench.py, and what they are called here. */
enum {
	ROW_VIEW,
	ROW_FETCH,
	ROW_ARRAY,
	ROW_WITH,
	ROW_IMPORT,
	ROWS,
};

static const char *const names[ROWS] = {
	[ROW_VIEW] = "memoryview of an mmap",
	[ROW_FETCH] = "fetch + release",
	[ROW_ARRAY] = "fetch + numpy.asarray + release",
	[ROW_WITH] = "with shmsem.fetch(name)",
	[ROW_IMPORT] = "import shmsem",
};

static const char script[] = "import sys\n"
			     "try:\n"
			     "    from shmsem import _bench\n"
			     "except ImportError as error:\n"
			     "    print('!', error)\n"
			     "else:\n"
			     "    _bench.main(*sys.argv[1:])\n";

/* ---- python3 ---- */

struct python {
	pid_t pid;
	int output;
};

static _Noreturn void run_python(const struct served *served, const struct bench_plan *plan,
	const char *name, unsigned samples, int output, pid_t parent)
{
	char runs[16], warmup[16], each[16];
	const char *argv[] = {"python3", "-c", script, name, runs, warmup, each, NULL};

	snprintf(runs, sizeof runs, "%u", plan->runs);
	snprintf(warmup, sizeof warmup, "%u", plan->warmup);
	snprintf(each, sizeof each, "%u", samples);
	/* One that may run on one CPU only would never spin. */
	machine_run_anywhere(served->machine);
	watchdog_end();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && dup2(output, STDOUT_FILENO) >= 0 &&
		!setenv("SHMSEM_NAMESPACE", served->space, true))
		execvp(argv[0], (char **)argv);
	_exit(NOT_STARTED);
}

static int start_python(const struct served *served, const struct bench_plan *plan,
	const char *name, unsigned samples, struct python *ret, struct error *err)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return error_os(err, errno, "cannot start python3");
	ret->pid = fork();
	if (!ret->pid)
		run_python(served, plan, name, samples, ends[1], parent);
	close(ends[1]);
	if (ret->pid < 0) {
		close(ends[0]);
		return error_os(err, errno, "cannot start python3");
	}
	ret->output = ends[0];
	return STATUS_OK;
}

/* Reads all that it writes, as a text, to be freed. */
static int read_output(const struct python *python, char **ret, struct error *err)
{
	struct watchdog watchdog = {.peer = python->pid, .peer_is_child = true};
	AUTO_FREE char *text = malloc(OUTPUT_MAX + 1);
	size_t size = 0;
	ssize_t got = 1;
	int status = text ? STATUS_OK : error_os(err, ENOMEM, "cannot measure Python");

	while (!status && got && size < OUTPUT_MAX) {
		got = read(python->output, text + size, OUTPUT_MAX - size);
		if (got > 0) {
			size += (size_t)got;
			watchdog_progress(&watchdog);
		} else if (got < 0) {
			status = errno == EINTR ? watchdog_check(&watchdog, err)
						: error_os(err, errno, "cannot hear from python3");
		}
	}
	if (status)
		return status;
	text[size] = '\0';
	*ret = steal_pointer(&text);
	return STATUS_OK;
}

/* Ends it, if it has not ended, and says what its end means. */
static int stop_python(const struct python *python, bool wanted, struct error *err)
{
	int how = 0;

	if (!wanted)
		kill(python->pid, SIGKILL);
	close(python->output);
	while (waitpid(python->pid, &how, 0) < 0 && errno == EINTR)
		;
	if (!wanted || (WIFEXITED(how) && !WEXITSTATUS(how)))
		return STATUS_OK;
	if (WIFEXITED(how) && WEXITSTATUS(how) == NOT_STARTED)
		return error_set(err, STATUS_UNAVAILABLE,
			"python3 is not installed, or not in a folder of $PATH");
	return error_set(err, STATUS_UNAVAILABLE, "python3 failed (it ended with %d)", how);
}

/* ---- what it says ---- */

/* Adds a sample to the series; false if there are more than were asked for. */
static bool add_sample(struct bench_series *series, const struct bench_plan *plan, double ns)
{
	size_t each = series->run_sizes[0];

	if (series->count == each * plan->runs)
		return false;
	series->samples[series->count++] = ns;
	return true;
}

static int parse(const char *text, const struct bench_plan *plan, struct bench_series *series,
	struct error *err)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		unsigned row;
		double ns;

		if (line[0] == '!')
			return error_set(err, STATUS_UNAVAILABLE, "cannot measure Python: %.*s",
				(int)strcspn(line + 2, "\n"), line + 2);
		if (sscanf(line, "%u %lf", &row, &ns) != 2 || row >= ROWS ||
			!add_sample(&series[row], plan, ns))
			return error_set(err, STATUS_INTERNAL, "python3 said what makes no sense");
		if (!line[strcspn(line, "\n")])
			break;
	}
	for (unsigned row = 0; row < ROWS; row++)
		if (series[row].count != series[row].run_sizes[0] * plan->runs)
			return error_set(err, STATUS_INTERNAL, "python3 ended too early");
	return STATUS_OK;
}

static int make_series(
	struct bench_series *series, unsigned runs, unsigned samples, struct error *err)
{
	for (unsigned row = 0; row < ROWS; row++) {
		unsigned each = row == ROW_IMPORT ? 1 : samples;

		series[row].runs = runs;
		series[row].batch = row == ROW_IMPORT ? 1 : 1000;
		series[row].samples = calloc((size_t)runs * each, sizeof(double));
		series[row].run_sizes = calloc(runs, sizeof(size_t));
		if (!series[row].samples || !series[row].run_sizes)
			return error_os(err, ENOMEM, "cannot measure Python");
		for (unsigned run = 0; run < runs; run++)
			series[row].run_sizes[run] = each;
	}
	return STATUS_OK;
}

/* Adds rows from `first` to before `end` as a group of their own. */
static int report_rows(struct bench_session *session, const char *group,
	struct bench_series *series, unsigned first, unsigned end, struct error *err)
{
	for (unsigned row = first; row < end; row++) {
		struct bench_result *result = report_add(&session->report, "python", group);

		if (!result)
			return error_os(err, ENOMEM, "cannot keep the results");
		snprintf(result->name, sizeof result->name, "%s", names[row]);
	}
	session->groups_done++;
	return report_finish_group(&session->report, series + first, end - first, err);
}

static int report_all(struct bench_session *session, struct bench_series *series, struct error *err)
{
	struct bench_report *report = &session->report;
	int status = report_rows(session, "stored image", series, ROW_VIEW, ROW_IMPORT, err);
	const struct bench_result *rows;

	if (!status)
		status = report_rows(session, "import", series, ROW_IMPORT, ROWS, err);
	if (status)
		return status;
	rows = report->results + report->count - ROWS;
	goal_note(&report->goals, GOAL_PYTHON_FETCH, rows[ROW_FETCH].ratio);
	goal_note(&report->goals, GOAL_PYTHON_ARRAY, rows[ROW_ARRAY].ratio);
	goal_note(&report->goals, GOAL_PYTHON_IMPORT,
		rows[ROW_IMPORT].statistics.p50 / (double)NS_PER_MS);
	return STATUS_OK;
}

/* ---- measuring ---- */

static int run_and_parse(const struct served *served, const struct bench_plan *plan,
	const char *name, unsigned samples, struct bench_series *series, struct error *err)
{
	AUTO_FREE char *text = NULL;
	struct python python = {0};
	struct error ended;
	int status = start_python(served, plan, name, samples, &python, err), failed;

	if (status)
		return status;
	status = read_output(&python, &text, err);
	failed = stop_python(&python, !status, &ended);
	if (!status && failed) {
		*err = ended;
		status = failed;
	}
	return status ? status : parse(text, plan, series, err);
}

static int measure(struct bench_session *session, const struct pictures *pictures, unsigned samples,
	struct bench_series *series, struct error *err)
{
	const struct served_options options = {.decoders = 1, .seats = 4, .cpu = -1};
	AUTO_SERVED struct served served = {0};
	int status = make_series(series, session->plan.runs, samples, err);

	if (status)
		return status;
	status = served_start(&served, pictures, &options, &session->report.machine, err);
	if (status)
		return status;
	status = run_and_parse(
		&served, &session->plan, pictures->list[0].name, samples, series, err);
	return status ? status : report_all(session, series, err);
}

int python_measure(
	struct bench_session *session, const struct pictures *pictures, struct error *err)
{
	const struct bench_plan *plan = &session->plan;
	uint64_t samples = plan->time_ns / plan->runs / SAMPLE_NS;
	struct bench_series series[ROWS] = {0};
	int status;

	samples = samples < 1 ? 1 : samples > BENCH_SAMPLES_MAX ? BENCH_SAMPLES_MAX : samples;
	status = measure(session, pictures, (unsigned)samples, series, err);
	for (unsigned row = 0; row < ROWS; row++)
		bench_series_release(&series[row]);
	return status;
}
