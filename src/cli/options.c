#include "cli/command.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "cli/suggest.h"
#include "cli/terminal.h"

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

/* Whether `text` is one of "a|b|c" or "[a|b|c]". */
static bool is_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	for (const char *at = choices; *at && *at != ']';) {
		size_t one = strcspn(at, "|]");

		if (one == length && !strncmp(at, text, length))
			return true;
		at += one + (at[one] == '|');
	}
	return false;
}

static int option_store(
	const struct option_row *row, const char *text, void *options, struct error *err)
{
	/* Without the bracket of an argument that may be left out. */
	const char *choices = row->argument ? row->argument + (*row->argument == '[') : "";
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
	case OPTION_CHOICE:
		if (!is_choice(choices, text))
			return error_set(err, STATUS_USAGE, "%s takes %.*s, not '%s'", what,
				(int)strcspn(choices, "]"), choices, text);
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

/* What getopt_long wants to know. */
struct parser {
	struct option table[OPTION_MAX + 2];
	char letters[2 + 3 * OPTION_MAX + 2];
};

static void parser_init(struct parser *parser, const struct option_row *rows)
{
	char *letter = stpcpy(parser->letters, ":h");
	size_t count = 0;

	for (const struct option_row *row = rows; row->name && count < OPTION_MAX; row++, count++) {
		bool optional = argument_optional(row);

		parser->table[count] = (struct option){.name = row->name,
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
	*letter = '\0';
	parser->table[count] = (struct option){.name = "help", .val = OPTION_HELP};
	parser->table[count + 1] = (struct option){0};
}

/* For "--word" that is none of the options, or several. */
static int refuse_word(const struct command *command, const char *word, struct error *err)
{
	char known[ERROR_TEXT_SIZE / 2] = "", name[64], text[SUGGEST_SIZE];
	const char *best = NULL;
	size_t matches = 0, used = 0;

	snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (const struct option_row *row = command->options; row->name; row++) {
		suggest_try(name, row->name, &best);
		if (strncmp(row->name, name, strlen(name)) != 0 || used >= sizeof known - 1)
			continue;
		used += (size_t)snprintf(known + used, sizeof known - used, "%s--%s",
			matches++ ? ", " : "", row->name);
	}
	if (matches > 1)
		return error_set(err, STATUS_USAGE, "option --%s may mean %s", name, known);
	return error_set(err, STATUS_USAGE, "unknown option --%s%s 'shmsem %s --help' lists them",
		name, suggest_text(best, "--", text), command->name);
}

/* Says what is wrong with the option that getopt_long has stopped at; `value` is what it returned. */
static int refuse(const struct command *command, int value, const char *word, struct error *err)
{
	char single[3] = {'-', (char)optopt, 0};
	bool lettered = optopt > 0 && optopt < OPTION_HELP;

	if (value == ':')
		return error_set(
			err, STATUS_USAGE, "option %s wants an argument", lettered ? single : word);
	if (optopt >= OPTION_BASE)
		return error_set(err, STATUS_USAGE, "option --%s takes no argument",
			command->options[optopt - OPTION_BASE].name);
	if (!lettered)
		return refuse_word(command, word, err);
	return error_set(err, STATUS_USAGE, "unknown option %s; 'shmsem %s --help' lists them",
		single, command->name);
}

static const struct option_row *row_of(const struct command *command, int value)
{
	const struct option_row *row = command->options;

	if (value >= OPTION_BASE)
		return &command->options[value - OPTION_BASE];
	while (row->letter != (char)value)
		row++;
	return row;
}

int options_parse(const struct command *command, int argc, char **argv, void *ret_options,
	int *ret_first, bool *ret_help, struct error *err)
{
	struct parser parser;
	int value;

	parser_init(&parser, command->options);
	*ret_help = false;
	opterr = 0;
	optind = 0;
	while ((value = getopt_long(argc, argv, parser.letters, parser.table, NULL)) != -1) {
		int status;

		if (value == OPTION_HELP || value == 'h') {
			*ret_help = true;
			return STATUS_OK;
		}
		if (value == '?' || value == ':')
			return refuse(command, value, argv[optind - 1], err);
		status = option_store(row_of(command, value), optarg, ret_options, err);
		if (status)
			return status;
	}
	*ret_first = optind;
	return STATUS_OK;
}

#define HELP_COLUMN 28

static void print_row(
	char letter, const char *name, const char *argument, const char *help, size_t width)
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
	printf(strlen(left) < HELP_COLUMN - 2 ? "  %-26s" : "  %s\n                            ",
		left);
	print_wrapped(help, HELP_COLUMN, HELP_COLUMN, width);
}

/* Each line of a text behind `each`, the first also behind `lead`, the others behind as many
 * blanks.
 */
static void print_lines(const char *lead, const char *each, const char *text, size_t width)
{
	int blanks = (int)strlen(lead);
	size_t indent = strlen(lead) + strlen(each);

	for (const char *line = text; line; lead = "") {
		const char *end = strchrnul(line, '\n');
		AUTO_FREE char *one = strndup(line, (size_t)(end - line));

		printf("%-*s%s", blanks, lead, each);
		if (one)
			print_wrapped(one, indent, indent, width);
		line = *end ? end + 1 : NULL;
	}
}

void command_print_help(const struct command *command)
{
	size_t width = help_width();
	char text[256], program[32];

	snprintf(program, sizeof program, "shmsem %s ", command->name);
	print_lines("Usage: ", program, command->synopsis, width);
	snprintf(text, sizeof text, "%s.", command->summary);
	putchar('\n');
	print_lines("", "", text, width);
	if (command->details) {
		putchar('\n');
		print_lines("", "", command->details, width);
	}
	printf("\nOptions:\n");
	for (const struct option_row *row = command->options; row->name; row++)
		print_row(row->letter, row->name, row->argument, row->help, width);
	print_row('h', "help", NULL, "show this and exit", width);
	printf("\nSee shmsem-%s(1).\n", command->name);
}
