/*
 * What `shmsem prefetch` says: how far it is, what failed, and at its end the numbers.
 */
#pragma once

#include "base/error.h"
#include "cli/print_json.h"
#include "cli/progress.h"
#include "shmsem.h"

#include <stdbool.h>
#include <stdint.h>

struct prefetch_report {
	struct progress progress;
	uint64_t asked; /* names that are known of, be they sent or not */
	uint64_t decoded, failed;
	bool full;  /* the rest waits for readers */
	int status; /* of those that failed, if all have the same */
	bool hinted;
	json_t *errors; /* NULL: without --json */
};

void prefetch_report_begin(struct prefetch_report *report, const char *command, bool json);
void prefetch_report_release(struct prefetch_report *report);

/* What the server told. */
void prefetch_report_note(
	struct prefetch_report *report, const struct shmsem_prefetched *prefetched);

/* An image failed. */
void prefetch_report_failure(
	struct prefetch_report *report, int status, const char *name, const char *message);

/* The numbers, as JSON or as a line, which --quiet leaves out. */
int prefetch_report_print(struct prefetch_report *report, bool json, bool quiet, struct error *err);

/* As the command ends with it. */
int prefetch_report_status(const struct prefetch_report *report);
