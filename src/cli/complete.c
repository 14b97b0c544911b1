#include "cli/complete.h"

#include "base/clock.h"
#include "base/text.h"
#include "bench/transport.h"
#include "cli/command.h"
#include "cli/object_columns.h"
#include "exchange/life.h"
#include "inventory/objects.h"
#include "shmsem.h"

#include <stdio.h>
#include <string.h>

#define TIMEOUT_NS NS_PER_SECOND

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* What is to be completed. */
struct typed {
	char *text;
	const char *lead; /* stands before it in the same word: "--sort=" */
};

static void offer(const char *candidate, const char *what, const struct typed *typed)
{
	if (begins(candidate, typed->text))
		printf("%s%s\t%s\n", typed->lead, candidate, what);
}

static void offer_commands(const struct typed *typed)
{
	for (size_t i = 0; commands[i]; i++)
		offer(commands[i]->name, commands[i]->summary, typed);
	offer("--help", "list the commands", typed);
	offer("--version", "tell what this is", typed);
}

static void offer_options(const struct command *command, const struct typed *typed)
{
	char text[64];

	for (const struct option_row *row = command->options; row->name; row++) {
		snprintf(text, sizeof text, "--%s", row->name);
		offer(text, row->help, typed);
		snprintf(text, sizeof text, "-%c", row->letter);
		if (row->letter)
			offer(text, row->help, typed);
	}
	offer("--help", "show the options and exit", typed);
}

static void offer_namespaces(const struct typed *typed)
{
	struct objects objects = OBJECTS_NONE;

	if (objects_read(&objects, false, NULL))
		return;
	for (size_t i = 0; i < objects.count; i++)
		if (objects.items[i].space && objects.items[i].kind == OBJECT_HEAD)
			offer(objects.items[i].space,
				object_served(objects.items[i].name) == 1 ? "a server lives there"
									  : "no server",
				typed);
	objects_release(&objects);
}

static int offer_name(void *typed, const char *name)
{
	if (text_is_plain(name, strlen(name)))
		offer(name, "image", typed);
	return 0;
}

static void offer_names(const struct shmsem_connect_options *connect, struct typed *typed)
{
	struct shmsem *client;

	if (shmsem_connect(&client, connect, NULL))
		return;
	shmsem_names(client, offer_name, typed, NULL);
	shmsem_close(client);
}

/* Each of "a|b|c". */
static void offer_choices(const char *choices, const struct typed *typed)
{
	char text[128];

	for (const char *at = choices + (*choices == '['); *at && *at != ']';) {
		size_t one = strcspn(at, "|]");

		snprintf(text, sizeof text, "%.*s", (int)one, at);
		offer(text, "value", typed);
		at += one + (at[one] == '|');
	}
}

/* How much of a list stands there already, before the word that is typed. */
static size_t listed(const struct typed *typed)
{
	const char *comma = strrchr(typed->text, ',');

	return comma ? (size_t)(comma + 1 - typed->text) : 0;
}

/* Those of bench, after those that stand there already. */
static void offer_mechanisms(const struct typed *typed)
{
	size_t before = listed(typed);
	char text[256];

	for (size_t i = 0; transports[i]; i++) {
		snprintf(
			text, sizeof text, "%.*s%s", (int)before, typed->text, transports[i]->name);
		offer(text, transports[i]->summary, typed);
	}
}

/* The columns that --output takes, after those that stand there already. */
static void offer_columns(const struct typed *typed)
{
	size_t before = listed(typed);
	char text[256];

	if (!before)
		before = typed->text[0] == '+';
	for (const struct table_column *column = object_columns; column->name; column++) {
		snprintf(text, sizeof text, "%.*s%s", (int)before, typed->text, column->name);
		offer(text, column->help, typed);
	}
}

/* By what --help calls an argument or a word. */
static void offer_for(
	const char *what, const struct shmsem_connect_options *connect, struct typed *typed)
{
	if (!strcmp(what, "COLS"))
		offer_columns(typed);
	else if (strstr(what, "NAME"))
		offer_names(connect, typed);
	else if (strstr(what, "FILE"))
		puts(":files");
	else if (strstr(what, "DIR"))
		puts(":directories");
	else if (strstr(what, "NS") || strstr(what, "GLOB"))
		offer_namespaces(typed);
}

static const char *values_of(const struct command *command, const struct option_row *row)
{
	for (const struct option_values *at = command->values; at && at->option; at++)
		if (!strcmp(at->option, row->name))
			return at->values;
	return row->kind == OPTION_CHOICE ? row->argument : NULL;
}

static void offer_values(const struct command *command, const struct option_row *row,
	const struct shmsem_connect_options *connect, struct typed *typed)
{
	const char *values = values_of(command, row);

	if (values)
		offer_choices(values, typed);
	else if (!strcmp(row->name, "mechanism"))
		offer_mechanisms(typed);
	/* What a pattern is for, nobody knows here. */
	else if (row->argument && !strstr(row->argument, "GLOB"))
		offer_for(row->argument, connect, typed);
}

/* "--option=value", typed in one word; `equals` is where its '=' is. */
static void offer_joined(const struct command *command,
	const struct shmsem_connect_options *connect, const char *word, char *equals)
{
	const char *name = word + strlen("--");
	size_t length = (size_t)(equals - name);
	char lead[64];
	struct typed typed = {.text = equals + 1, .lead = lead};

	snprintf(lead, sizeof lead, "--%.*s=", (int)length, name);
	for (const struct option_row *row = command->options; row->name; row++)
		if (strlen(row->name) == length && !memcmp(row->name, name, length))
			offer_values(command, row, connect, &typed);
}

/* The option that the word is, if it takes the next word as its argument. */
static const struct option_row *wants_argument(const struct command *command, const char *word)
{
	for (const struct option_row *row = command->options; row->name; row++) {
		bool is = word[0] == '-' && word[1] == '-'
				  ? !strcmp(word + 2, row->name)
				  : row->letter && word[0] == '-' && word[1] == row->letter &&
					    !word[2];

		if (is)
			return row->argument && row->argument[0] != '[' ? row : NULL;
	}
	return NULL;
}

static const struct command *command_named(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

void complete_print(int argc, char **argv)
{
	const struct option_row *wanting = NULL;
	const struct command *command;
	struct shmsem_connect_options connect = {.timeout_ns = TIMEOUT_NS};
	char nothing[] = "", *word = argc ? argv[argc - 1] : nothing;
	char *equals = strchr(word, '=');
	struct typed typed = {.text = word, .lead = ""};
	int words = 0;

	if (argc < 2) {
		offer_commands(&typed);
		return;
	}
	command = command_named(argv[0]);
	if (!command)
		return;
	for (int i = 1; i < argc - 1; i++) {
		if (wanting) {
			if (!strcmp(wanting->name, "namespace"))
				connect.name_space = argv[i];
			else if (!strcmp(wanting->name, "server-user"))
				shmsem_server_user(&connect, argv[i], NULL);
			wanting = NULL;
			continue;
		}
		if (!strcmp(argv[i], "--")) {
			puts(":files");
			return;
		}
		wanting = wants_argument(command, argv[i]);
		words += argv[i][0] != '-';
	}
	if (wanting)
		offer_values(command, wanting, &connect, &typed);
	else if (equals && begins(word, "--"))
		offer_joined(command, &connect, word, equals);
	else if (word[0] == '-')
		offer_options(command, &typed);
	else if (command->words && !words)
		offer_choices(command->words, &typed);
	else
		offer_for(command->synopsis, &connect, &typed);
}
