/* Plots, by gnuplot, which reads a script and the data from a pipe. */
#include "bench/export.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The terminal that draws a file of this ending, or NULL. */
static const char *terminal_of(const char *path)
{
	const char *ending = strrchr(path, '.');

	if (ending && !strcmp(ending, ".svg"))
		return "svg size 1000,640 background 'white'";
	if (ending && !strcmp(ending, ".png"))
		return "png size 1000,640";
	return NULL;
}

static bool in_path(const char *program)
{
	const char *at = getenv("PATH");
	char path[4096];

	while (at && *at) {
		size_t length = strcspn(at, ":");

		snprintf(path, sizeof path, "%.*s/%s", (int)length, at, program);
		if (!access(path, X_OK))
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

int plot_possible(const char *path, struct error *err)
{
	if (!terminal_of(path))
		return error_set(
			err, STATUS_USAGE, "--plot: '%s' ends neither in .svg nor in .png", path);
	if (!in_path("gnuplot"))
		return error_set(err, STATUS_UNAVAILABLE,
			"--plot wants gnuplot, which is not installed ('apt-get install "
			"gnuplot-nox'); --export-csv has the figures");
	return STATUS_OK;
}

/* Whether an earlier row has this text at that place of struct bench_result. */
static bool seen_before(const struct bench_report *report, size_t index, size_t offset)
{
	const char *rows = (const char *)report->results;
	const char *text = rows + index * sizeof *report->results + offset;

	for (size_t i = 0; i < index; i++)
		if (!strcmp(rows + i * sizeof *report->results + offset, text))
			return true;
	return false;
}

/* The place of a group on the x axis: groups count from 0 in the order they first occur. */
static size_t group_place(const struct bench_report *report, const char *group)
{
	size_t place = 0;

	for (size_t i = 0; strcmp(report->results[i].group, group); i++)
		place += !seen_before(report, i, offsetof(struct bench_result, group));
	return place;
}

static void write_blocks(const struct bench_report *report, FILE *file)
{
	for (size_t i = 0; i < report->count; i++) {
		if (seen_before(report, i, offsetof(struct bench_result, name)))
			continue;
		fprintf(file, "$data%zu << END\n", i);
		for (size_t k = i; k < report->count; k++)
			if (!strcmp(report->results[k].name, report->results[i].name))
				fprintf(file, "%zu %.4f\n",
					group_place(report, report->results[k].group),
					report->results[k].statistics.p50 / 1000);
		fputs("END\n", file);
	}
}

static void write_script(const struct bench_report *report, const char *output, FILE *file)
{
	const char *separator = "plot";

	write_blocks(report, file);
	fputs("set xtics (", file);
	for (size_t i = 0, tics = 0; i < report->count; i++)
		if (!seen_before(report, i, offsetof(struct bench_result, group)))
			fprintf(file, "%s\"%s\" %zu", tics++ ? ", " : "", report->results[i].group,
				group_place(report, report->results[i].group));
	fputs(")\nset logscale y\nset ylabel 'microseconds, p50'\nset grid ytics\nset offsets 0.2, "
	      "0.2, 0, 0\nset key outside right noenhanced\n",
		file);
	fprintf(file, "set output '%s'\n", output);
	for (size_t i = 0; i < report->count; i++) {
		if (seen_before(report, i, offsetof(struct bench_result, name)))
			continue;
		fprintf(file, "%s $data%zu using 1:2 with linespoints title \"%s\"", separator, i,
			report->results[i].name);
		separator = ",";
	}
	fputs("\nset output\n", file);
}

/* Starts gnuplot with the script `fd` as its input, and waits for its end. */
static int run_gnuplot(int fd, struct error *err)
{
	char *const argv[] = {"gnuplot", "-", NULL};
	posix_spawn_file_actions_t actions;
	pid_t child;
	int failed, result = 0;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	failed = posix_spawnp(&child, "gnuplot", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (failed)
		return error_os(err, failed, "cannot start gnuplot");
	while (waitpid(child, &result, 0) < 0)
		if (errno != EINTR)
			return error_os(err, errno, "cannot wait for gnuplot");
	if (!WIFEXITED(result) || WEXITSTATUS(result))
		return error_set(err, STATUS_UNAVAILABLE, "gnuplot failed");
	return STATUS_OK;
}

int plot_report(const struct bench_report *report, const char *path, struct error *err)
{
	char beside[4096];
	AUTO_FCLOSE FILE *script = tmpfile();
	int status;

	if (!script)
		return error_os(err, errno, "cannot make a temporary file");
	if (strchr(path, '\'') || strchr(path, '\n'))
		return error_set(err, STATUS_USAGE, "--plot: a name with ' in it is not possible");
	if (snprintf(beside, sizeof beside, "%s.%d", path, (int)getpid()) >= (int)sizeof beside)
		return error_set(err, STATUS_USAGE, "'%s' is too long a name", path);
	fprintf(script, "set terminal %s\n", terminal_of(path));
	write_script(report, beside, script);
	if (fflush(script) || fseek(script, 0, SEEK_SET))
		return error_os(err, errno, "cannot write a temporary file");
	status = run_gnuplot(fileno(script), err);
	if (!status && rename(beside, path))
		status = error_os(err, errno, "cannot write '%s'", path);
	if (status)
		unlink(beside);
	return status;
}
