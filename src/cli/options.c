#include "cli/command.h"

#include "base/number.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Long options without a letter get values above every char. */
#define OPTION_BASE 256
#define OPTION_HELP 255
#define OPTION_MAX  64

static bool argument_optional(const struct option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

static int list_add(struct option_list *list, const char *text, const char *what, struct error *err)
{
	if (list->count == OPTION_LIST_MAX)
		return error_set(err, STATUS_USAGE, "%s may be given %d times at most", what,
			OPTION_LIST_MAX);
	list->texts[list->count++] = text;
	return STATUS_OK;
}

static int option_store(
	const struct option_row *row, const char *text, void *options, struct error *err)
{
	uint8_t *value = (uint8_t *)options + row->offset;
	char what[64];

	snprintf(what, sizeof what, "--%s", row->name);
	if (!text)
		text = row->without;
	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)(void *)value = true;
		return STATUS_OK;
	case OPTION_OFF:
		*(bool *)(void *)value = false;
		return STATUS_OK;
	case OPTION_TEXT:
		*(const char **)(void *)value = text;
		return STATUS_OK;
	case OPTION_NUMBER:
		return parse_number(text, what, row->least, row->most ? row->most : UINT64_MAX,
			(uint64_t *)(void *)value, err);
	case OPTION_SIZE:
		return parse_size(text, what, (uint64_t *)(void *)value, err);
	case OPTION_DURATION:
		return parse_duration(text, what, (uint64_t *)(void *)value, err);
	case OPTION_LIST:
		return list_add((struct option_list *)(void *)value, text, what, err);
	}
	return error_set(err, STATUS_INTERNAL, "%s: unknown kind of option", what);
}

int options_parse(const struct command *command, int argc, char **argv, void *ret_options,
	int *ret_first, bool *ret_help, struct error *err)
{
	struct option table[OPTION_MAX + 2] = {0};
	char letters[2 + 3 * OPTION_MAX + 2] = ":h", *letter = letters + 2;
	size_t count = 0;
	int value;

	for (const struct option_row *row = command->options; row->name && count < OPTION_MAX;
		row++, count++) {
		bool optional = argument_optional(row);

		table[count] = (struct option){.name = row->name,
			.has_arg = !row->argument ? no_argument
				   : optional     ? optional_argument
						  : required_argument,
			.val = OPTION_BASE + (int)count};
		if (!row->letter)
			continue;
		*letter++ = row->letter;
		if (row->argument)
			*letter++ = ':';
		if (optional)
			*letter++ = ':';
	}
	table[count] = (struct option){.name = "help", .val = OPTION_HELP};

	*ret_help = false;
	opterr = 0;
	optind = 0;
	while ((value = getopt_long(argc, argv, letters, table, NULL)) != -1) {
		const struct option_row *row = NULL;
		int status;

		if (value == OPTION_HELP || value == 'h') {
			*ret_help = true;
			return STATUS_OK;
		}
		if (value == '?' || value == ':') {
			const char *word = argv[optind - 1];
			char single[3] = {'-', (char)optopt, 0};
			bool lettered = optopt > 0 && optopt < OPTION_HELP;

			if (value == ':')
				return error_set(err, STATUS_USAGE, "option %s wants an argument",
					lettered ? single : word);
			if (optopt >= OPTION_BASE)
				return error_set(err, STATUS_USAGE, "option --%s takes no argument",
					command->options[optopt - OPTION_BASE].name);
			return error_set(err, STATUS_USAGE,
				"unknown option %s; 'shmsem %s --help' lists them",
				lettered ? single : word, command->name);
		}
		if (value >= OPTION_BASE) {
			row = &command->options[value - OPTION_BASE];
		} else {
			for (row = command->options; row->letter != (char)value; row++)
				;
		}
		status = option_store(row, optarg, ret_options, err);
		if (status)
			return status;
	}
	*ret_first = optind;
	return STATUS_OK;
}

static void print_row(char letter, const char *name, const char *argument, const char *help)
{
	char left[64], dash[5] = "    ";
	bool optional = argument && argument[0] == '[';

	if (letter)
		snprintf(dash, sizeof dash, "-%c, ", letter);
	if (optional)
		snprintf(left, sizeof left, "%s--%s[=%s", dash, name, argument + 1);
	else
		snprintf(left, sizeof left, "%s--%s%s%s", dash, name, argument ? " " : "",
			argument ? argument : "");
	printf(strlen(left) < 26 ? "  %-26s%s\n" : "  %s\n                            %s\n", left,
		help);
}

void command_print_help(const struct command *command)
{
	const char *line = command->synopsis;

	for (const char *lead = "Usage:"; line; lead = "      ") {
		const char *end = strchrnul(line, '\n');

		printf("%s shmsem %s %.*s\n", lead, command->name, (int)(end - line), line);
		line = *end ? end + 1 : NULL;
	}
	printf("\n%s.\n", command->summary);
	if (command->details)
		printf("\n%s\n", command->details);
	printf("\nOptions:\n");
	for (const struct option_row *row = command->options; row->name; row++)
		print_row(row->letter, row->name, row->argument, row->help);
	print_row('h', "help", NULL, "show this and exit");
	printf("\nSee shmsem-%s(1).\n", command->name);
}
