#include "cli/prefetch_report.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A shard that was replaced may have as many failures as members. */
#define FAILURES_SAID 100

#define WAITS "; waiting for readers (serve --cache)"

void prefetch_report_begin(struct prefetch_report *report, const char *command, bool json)
{
	*report = (struct prefetch_report){.errors = json ? json_array() : NULL};
	progress_begin(&report->progress, command, 0);
}

void prefetch_report_release(struct prefetch_report *report)
{
	if (report->errors)
		json_decref(report->errors);
}

static json_t *json_text(const char *text)
{
	size_t length = strlen(text), size = 4 * length + 1;
	AUTO_FREE char *shown = malloc(size);

	return shown ? json_string(text_is_plain(text, length)
					   ? text
					   : text_escape(text, length, shown, size))
		     : NULL;
}

/* What a name that is none may have been meant for, or NULL. */
static const char *hint_of(const char *name)
{
	size_t length = strlen(name);

	if (length && name[length - 1] == '\r')
		return "is that a list with the line ends of Windows? tr -d '\\r' takes them away";
	return strcmp(name, "-") ? NULL : "'--order -' has the names from standard input";
}

static void say_failure(struct prefetch_report *report, const char *name, const char *message)
{
	const char *hint = report->hinted ? NULL : hint_of(name);
	char shown[256];

	fetch_say_failure(
		&report->progress, text_escape(name, strlen(name), shown, sizeof shown), message);
	if (hint)
		progress_say(&report->progress, "%s", hint);
	report->hinted |= hint != NULL;
}

void prefetch_report_failure(
	struct prefetch_report *report, int status, const char *name, const char *message)
{
	report->status = !report->failed || report->status == status ? status : STATUS_PARTLY;
	report->failed++;
	if (report->failed <= FAILURES_SAID)
		say_failure(report, name, message);
	if (report->errors)
		json_array_append_new(
			report->errors, json_pack("{s:o, s:i, s:o}", "name", json_text(name),
						"status", status, "error", json_text(message)));
}

void prefetch_report_note(
	struct prefetch_report *report, const struct shmsem_prefetched *prefetched)
{
	if (prefetched->status)
		prefetch_report_failure(
			report, prefetched->status, prefetched->name, prefetched->message);
	report->decoded = prefetched->decoded;
	report->full = prefetched->full;
	progress_set(&report->progress, report->decoded + report->failed, report->asked,
		report->full ? WAITS : "");
}

int prefetch_report_print(struct prefetch_report *report, bool json, bool quiet, struct error *err)
{
	const char *command = report->progress.command;
	unsigned long long asked = report->asked, failed = report->failed;

	if (json) {
		json_t *errors = report->errors;

		report->errors = NULL;
		return print_json(json_pack("{s:I, s:I, s:I, s:o}", "asked", (json_int_t)asked,
					  "decoded", (json_int_t)report->decoded, "failed",
					  (json_int_t)failed, "errors", errors),
			err);
	}
	if (!quiet)
		printf("%llu of %llu decoded\n", (unsigned long long)report->decoded, asked);
	if (failed > FAILURES_SAID)
		fprintf(stderr, "%s: and %llu more\n", command, failed - FAILURES_SAID);
	if (failed)
		fprintf(stderr, "%s: %llu of %llu failed\n", command, failed, asked);
	return STATUS_OK;
}

int prefetch_report_status(const struct prefetch_report *report)
{
	return report->failed && report->failed < report->asked ? STATUS_PARTLY : report->status;
}
