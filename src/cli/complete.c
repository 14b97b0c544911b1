#include "cli/complete.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/object_columns.h"
#include "exchange/head_report.h"
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

static void offer(const char *candidate, const char *what, const char *typed)
{
	if (begins(candidate, typed))
		printf("%s\t%s\n", candidate, what);
}

static void offer_commands(const char *typed)
{
	for (size_t i = 0; commands[i]; i++)
		offer(commands[i]->name, commands[i]->summary, typed);
	offer("--help", "list the commands", typed);
	offer("--version", "tell what this is", typed);
}

static void offer_options(const struct command *command, const char *typed)
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

static void offer_namespaces(const char *typed)
{
	struct objects objects = OBJECTS_NONE;

	if (objects_read(&objects, NULL))
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

static void offer_names(const struct shmsem_connect_options *connect, char *typed)
{
	struct shmsem *client;

	if (shmsem_connect(&client, connect, NULL))
		return;
	shmsem_names(client, offer_name, typed, NULL);
	shmsem_close(client);
}

/* Each of "a|b|c", behind the `lead` of what was typed ("--sort="). */
static void offer_choices(const char *choices, const char *lead, const char *typed)
{
	char text[128];

	for (const char *at = choices + (*choices == '['); *at && *at != ']';) {
		size_t one = strcspn(at, "|]");

		snprintf(text, sizeof text, "%s%.*s", lead, (int)one, at);
		offer(text, "value", typed);
		at += one + (at[one] == '|');
	}
}

/* The columns that --output takes, after those that stand there already. */
static void offer_columns(const char *typed)
{
	const char *comma = strrchr(typed, ',');
	size_t before = comma ? (size_t)(comma + 1 - typed) : typed[0] == '+';
	char text[256];

	for (const struct table_column *column = object_columns; column->name; column++) {
		snprintf(text, sizeof text, "%.*s%s", (int)before, typed, column->name);
		offer(text, column->help, typed);
	}
}

/* The value of "--option=", typed in one word. */
static void offer_values(const struct command *command, const char *typed)
{
	size_t length = strcspn(typed + 2, "=");
	char lead[64];

	snprintf(lead, sizeof lead, "--%.*s=", (int)length, typed + 2);
	for (const struct option_row *row = command->options; row->name; row++)
		if (row->kind == OPTION_CHOICE && strlen(row->name) == length &&
			!strncmp(row->name, typed + 2, length))
			offer_choices(row->argument, lead, typed);
}

/* By what --help calls an argument or a word. */
static void offer_for(const char *what, const struct shmsem_connect_options *connect, char *typed)
{
	if (!strcmp(what, "COLS"))
		offer_columns(typed);
	else if (strstr(what, "FILE"))
		puts(":files");
	else if (strstr(what, "DIR"))
		puts(":directories");
	else if (strstr(what, "NAME"))
		offer_names(connect, typed);
	else if (strstr(what, "NS") || strstr(what, "GLOB"))
		offer_namespaces(typed);
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
	char nothing[] = "", *typed = argc ? argv[argc - 1] : nothing;

	if (argc < 2) {
		offer_commands(typed);
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
	}
	if (wanting && wanting->kind == OPTION_CHOICE)
		offer_choices(wanting->argument, "", typed);
	else if (wanting)
		offer_for(wanting->argument, &connect, typed);
	else if (begins(typed, "--") && strchr(typed, '='))
		offer_values(command, typed);
	else if (typed[0] == '-')
		offer_options(command, typed);
	else
		offer_for(command->synopsis, &connect, typed);
}
