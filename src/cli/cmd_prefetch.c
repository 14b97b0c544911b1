/* shmsem prefetch: has images decoded before somebody asks for them. */
#include "cli/commands.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/number.h"
#include "cli/fetch.h"
#include "cli/fetch_rows.h"
#include "cli/prefetch_report.h"
#include "exchange/wire.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND "shmsem prefetch"

/* A call waits so long; then the server is asked what it waits for, and has so long to answer. */
#define LOOK_NS   NS_PER_SECOND
#define ANSWER_NS (100 * NS_PER_MS)

struct prefetch_options {
	struct fetch_options fetch;
	const char *order;
	bool null;
};

#define ROW(field) offsetof(struct prefetch_options, fetch.field)
#define OWN(field) offsetof(struct prefetch_options, field)

static const struct option_row rows[] = {
	FETCH_SERVER_ROWS,
	{0, "order", "FILE|-", "names, one a line, after those given; - is standard input",
		OPTION_TEXT, OWN(order), 0, 0, NULL},
	{'0', "null", NULL, "names of --order end with a NUL, not with a line", OPTION_FLAG,
		OWN(null), 0, 0, NULL},
	FETCH_REQUEST_ROWS,
	{0, "timeout", "SEC", "end if nothing was decoded for SEC (default: never)",
		OPTION_DURATION, ROW(timeout), 0, 0, NULL},
	{0, "wait", "SEC", "wait so long for a server to appear", OPTION_DURATION, ROW(wait), 0, 0,
		NULL},
	{'J', "json", NULL, "print JSON", OPTION_FLAG, ROW(json), 0, 0, NULL},
	{'q', "quiet", NULL, "print nothing but what failed", OPTION_FLAG, ROW(quiet), 0, 0, NULL},
	{0},
};

/* What is going on. */
struct prefetching {
	struct shmsem *client;
	struct shmsem_request request; /* but for the name */
	uint64_t timeout_ns;           /* --timeout; 0: none */
	uint64_t done;                 /* decoded or failed, */
	uint64_t since;                /* which did not change since then */
	bool stalled;                  /* for --timeout */
	struct prefetch_report report;
};

/* Of the command, for the handler. */
static struct shmsem *cancelled;
static volatile sig_atomic_t interrupted;

static void interrupt(int signal)
{
	interrupted = signal;
	shmsem_cancel(cancelled);
}

/* What the caller ignores stays ignored. */
static void catch_signal(int signal)
{
	const struct sigaction action = {.sa_handler = interrupt};
	struct sigaction before;

	if (sigaction(signal, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(signal, &action, NULL);
}

/* ---- the work ---- */

static int fail(struct prefetching *work, const struct shmsem_error *error, struct error *err)
{
	char time[SIZE_TEXT_SIZE];

	work->stalled = work->timeout_ns && error->status == SHMSEM_TRY_AGAIN &&
			error->os_error != ECANCELED;
	if (work->stalled)
		return error_set(err, STATUS_TRY_AGAIN, "nothing was decoded for %s%s",
			format_duration(work->timeout_ns, time),
			work->report.full ? ": the store (--cache of shmsem serve) is full of "
					    "images that nobody has used yet"
					  : "");
	error_set(err, error->status, "%s", error->message);
	err->os_error = error->os_error;
	return error->status;
}

static void note(struct prefetching *work, const struct shmsem_prefetched *got)
{
	if (got->decoded + got->failed != work->done)
		work->since = clock_now();
	work->done = got->decoded + got->failed;
	prefetch_report_note(&work->report, got);
}

/* How long a call waits. */
static uint64_t slice(const struct prefetching *work)
{
	uint64_t waited = clock_now() - work->since;

	if (!work->timeout_ns || waited + LOOK_NS < work->timeout_ns)
		return LOOK_NS;
	return waited < work->timeout_ns ? work->timeout_ns - waited : 1;
}

/* Whether a call that failed is to be made again: the readers take their time. Asks how far it is, which is
 * answered at once if anything is decoded. */
static bool again(struct prefetching *work, const struct shmsem_error *error)
{
	struct shmsem_prefetched got = {0};

	if (error->status != SHMSEM_TRY_AGAIN || error->os_error == ECANCELED)
		return false;
	if (!shmsem_prefetch_wait(work->client, ANSWER_NS, &got, NULL))
		note(work, &got);
	return !work->timeout_ns || clock_now() - work->since < work->timeout_ns;
}

/* False, and reported, for what fails without being sent. */
static bool is_name(struct prefetching *work, const char *name)
{
	size_t length = strlen(name);
	char text[80] = "the name is empty";

	if (length && length <= WIRE_NAME_MAX)
		return true;
	if (length)
		snprintf(text, sizeof text, "a name of %zu bytes is over the limit of %d", length,
			WIRE_NAME_MAX);
	prefetch_report_failure(&work->report, STATUS_USAGE, name, text);
	return false;
}

static int prefetch_name(struct prefetching *work, const char *name, struct error *err)
{
	struct shmsem_request request = work->request;
	struct shmsem_prefetched got;
	struct shmsem_error error = {0};

	if (!is_name(work, name))
		return STATUS_OK;
	request.name = name;
	work->since = clock_now();
	do {
		request.timeout_ns = slice(work);
		shmsem_prefetch(work->client, &request, &got, &error);
	} while (again(work, &error));
	if (error.status)
		return fail(work, &error, err);
	note(work, &got);
	return STATUS_OK;
}

/* How many names are in the rest of a file; 0 for what can be read only once. */
static uint64_t names_in(FILE *file, char end)
{
	const off_t at = ftello(file);
	AUTO_FREE char *line = NULL;
	uint64_t names = 0;
	size_t room = 0;
	ssize_t got;

	if (at < 0)
		return 0;
	while ((got = getdelim(&line, &room, end, file)) >= 0)
		names += got > 1 || line[0] != end;
	clearerr(file);
	return fseeko(file, at, SEEK_SET) ? 0 : names;
}

static int prefetch_lines(
	struct prefetching *work, FILE *file, const char *path, bool null, struct error *err)
{
	const char end = null ? '\0' : '\n';
	AUTO_FREE char *line = NULL;
	int status = STATUS_OK;
	size_t room = 0, number = 0, length;
	uint64_t counted = names_in(file, end), names = 0;
	ssize_t got;

	work->report.asked += counted;
	while (!status && !interrupted && (got = getdelim(&line, &room, end, file)) >= 0) {
		length = (size_t)got;
		number++;
		if (length && line[length - 1] == end)
			line[--length] = '\0';
		if (strlen(line) != length)
			return error_set(
				err, STATUS_USAGE, "a NUL in line %zu of '%s'; -0?", number, path);
		if (!length)
			continue;
		if (++names > counted)
			work->report.asked++;
		status = prefetch_name(work, line, err);
	}
	if (status || interrupted || !ferror(file))
		return status;
	return error_os_as(err, errno == EISDIR ? STATUS_NOT_FOUND : error_status_of(errno), errno,
		"cannot read '%s'", path);
}

static int prefetch_file(struct prefetching *work, const char *path, bool null, struct error *err)
{
	bool standard = !strcmp(path, "-");
	FILE *file = standard ? stdin : fopen(path, "re");
	int status;

	if (!file)
		return error_os(err, errno, "cannot open '%s'", path);
	if (standard && isatty(STDIN_FILENO))
		progress_say(&work->report.progress, "type names, one a line; ^D ends them");
	status = prefetch_lines(work, file, path, null, err);
	if (!standard)
		fclose(file);
	return status;
}

/* Until nothing is listed, and no failure is left to be told. */
static int prefetch_rest(struct prefetching *work, struct error *err)
{
	struct shmsem_prefetched got = {.listed = 1}; /* until the server says something else */
	struct shmsem_error error;

	work->since = clock_now();
	do {
		if (shmsem_prefetch_wait(work->client, slice(work), &got, &error)) {
			if (again(work, &error))
				continue;
			return fail(work, &error, err);
		}
		note(work, &got);
	} while (got.listed || got.status);
	return STATUS_OK;
}

static int prefetch_words(struct prefetching *work, char **words, size_t count, struct error *err)
{
	struct fetch_names all = {0}, names = {0};
	bool globs = fetch_has_globs(words, count);
	int status = globs ? fetch_names_all(work->client, &all, err) : STATUS_OK;

	if (!status)
		status = fetch_names_match(words, count, globs ? &all : NULL, false, &names, err);
	work->report.asked += names.count;
	for (size_t i = 0; !status && !interrupted && i < names.count; i++)
		status = prefetch_name(work, names.names[i], err);
	fetch_names_release(&all);
	fetch_names_release(&names);
	return status;
}

static int prefetch_all(const struct prefetch_options *given, struct prefetching *work,
	char **words, size_t count, struct error *err)
{
	int status = prefetch_words(work, words, count, err);

	if (!status && given->order)
		status = prefetch_file(work, given->order, given->null, err);
	if (!status && !interrupted)
		status = prefetch_rest(work, err);
	return status;
}

/* Says how far it came also when it waited too long or was interrupted; then the signal ends the process. */
static int finish(const struct prefetch_options *given, struct prefetching *work, int status,
	struct error *err)
{
	struct error failed = {0};
	bool tells = !status || interrupted || work->stalled;
	int printed = tells ? prefetch_report_print(
				      &work->report, given->fetch.json, given->fetch.quiet, &failed)
			    : STATUS_OK;

	if (interrupted) {
		fflush(stdout);
		shmsem_close(work->client);
		signal(interrupted, SIG_DFL);
		raise(interrupted);
	}
	if (status)
		return status;
	if (printed)
		return error_copy(err, &failed);
	return prefetch_report_status(&work->report);
}

static int check(const struct prefetch_options *given, size_t words, struct fetch_plan *ret,
	struct error *err)
{
	if (!words && !given->order)
		return error_set(
			err, STATUS_USAGE, "which images? 'shmsem prefetch NAME' or --order FILE");
	if (given->null && !given->order)
		return error_set(err, STATUS_USAGE, "--null is for --order");
	return fetch_understand(&given->fetch, words + 1, ret, err);
}

static int run(const void *options, int argc, char **argv, struct error *err)
{
	const struct prefetch_options *given = options;
	struct prefetching work = {.timeout_ns = given->fetch.timeout};
	struct fetch_plan plan;
	int status = check(given, (size_t)argc, &plan, err);

	if (status)
		return status;
	plan.connect.timeout_ns = 0;
	status = fetch_connect(&plan, COMMAND, &work.client, err);
	if (status)
		return status;
	work.request = plan.request;
	cancelled = work.client;
	catch_signal(SIGINT);
	catch_signal(SIGTERM);
	prefetch_report_begin(&work.report, COMMAND, given->fetch.json);
	status = prefetch_all(given, &work, argv, (size_t)argc, err);
	progress_end(&work.report.progress);
	status = finish(given, &work, status, err);
	prefetch_report_release(&work.report);
	shmsem_close(work.client);
	return status;
}

const struct command command_prefetch = {
	.name = "prefetch",
	.summary = "have images decoded before they are asked for",
	.synopsis = "[OPTION…] NAME…\n[OPTION…] --order FILE|- [NAME…]",
	.details =
		"Has the server decode images in the order given, while nobody waits for others. "
		"What was decoded so stays in the store until somebody has fetched it, or this "
		"command ends. It ends when all images are decoded.",
	.options = rows,
	.values = fetch_values,
	.options_size = sizeof(struct prefetch_options),
	.run = run,
};
