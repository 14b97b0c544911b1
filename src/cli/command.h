/*
 * A command is a value in its own file: name, summary, synopsis, options, run. Dispatch, --help,
 * completion and the check of the man pages all read these tables.
 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_FLAG,     /* bool: true when given */
	OPTION_OFF,      /* bool: false when given */
	OPTION_TEXT,     /* const char *: points into argv */
	OPTION_CHOICE,   /* the same: one of those that `argument` names, "a|b|c" or "[a|b|c]" */
	OPTION_NUMBER,   /* uint64_t from `least` to `most` */
	OPTION_SIZE,     /* uint64_t: bytes, "64K", "512M" */
	OPTION_DURATION, /* uint64_t: nanoseconds, "10", "250ms" */
	OPTION_LIST,     /* struct option_list: each use adds a text */
};

#define OPTION_LIST_MAX 64

struct option_list {
	const char *texts[OPTION_LIST_MAX]; /* each points into argv */
	size_t count;
};

/* A row of a command's option table. The value goes to `offset` in the command's options struct. */
struct option_row {
	char letter;      /* 0 for none */
	const char *name; /* without the dashes; NULL ends the table */
	const char
		*argument; /* what --help calls it; NULL for flags; "[SEC]" if it may be left out */
	const char *help;  /* one line */
	enum option_kind kind;
	size_t offset;        /* of the value in the options struct */
	uint64_t least, most; /* of an OPTION_NUMBER; most = 0 means no upper bound */
	const char *without;  /* the text that stands for a left-out "[...]" argument */
};

/* What completion offers as argument of an option that is no OPTION_CHOICE. */
struct option_values {
	const char *option; /* its name; NULL ends the table */
	const char *values; /* "a|b|c" */
};

struct command {
	const char *name;
	const char *summary; /* one line, no full stop */
	const char *
		synopsis; /* what follows "shmsem NAME", several lines if there are several forms */
	const char *details; /* a few lines for --help, or NULL */
	const struct option_row
		*options; /* ends with a row without a name; --help is added to every command */
	const struct option_values *values; /* or NULL */
	const char *words;    /* "a|b|c", if the first word is one of these; or NULL */
	size_t options_size;  /* of the options struct */
	const void *defaults; /* an options struct to start from; NULL: all zero */
	/*
	 * Runs with the parsed options and the words after them (argv[argc] is NULL). Returns an
	 * exit status; text in *err is printed once, by main. Data goes to stdout, which main
	 * flushes and checks.
	 */
	int (*run)(const void *options, int argc, char **argv, struct error *err);
};

/* Every command, in the order of --help; ends with NULL. */
extern const struct command *const commands[];

/*
 * Parses argv[1..] by the table: options may stand between words, "--" ends them. Fills the options
 * struct, and sets *ret_first to the index of the first word, to which all words have been moved.
 * STATUS_USAGE with an error message otherwise. *ret_help: --help was given (nothing else is then
 * checked).
 */
int options_parse(const struct command *command, int argc, char **argv, void *ret_options,
	int *ret_first, bool *ret_help, struct error *err);

/* Writes the --help text of a command to stdout. */
void command_print_help(const struct command *command);
