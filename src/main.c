/* The command table, dispatch and exit status. */
#include "base/error.h"
#include "base/io.h"
#include "cli/command.h"
#include "cli/complete.h"
#include "cli/suggest.h"
#include "cli/version.h"
#include "server/decoder.h"
#include "server/helper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_usage(FILE *file)
{
	fputs("Usage: shmsem COMMAND [OPTION…] [ARGUMENT…]\n\n"
	      "Hands decoded images from process to process through shared memory.\n\nCommands:\n",
		file);
	for (size_t i = 0; commands[i]; i++)
		fprintf(file, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
	fputs("\n'shmsem COMMAND --help' tells the options of a command; --version the version.\n"
	      "See shmsem(1), and shmsem(7) for the exchange itself.\n",
		file);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int unknown_command(const char *name, struct error *err)
{
	const char *best = NULL;
	char text[SUGGEST_SIZE];

	for (size_t i = 0; commands[i]; i++)
		suggest_try(name, commands[i]->name, &best);
	return error_set(err, STATUS_USAGE, "there is no command '%s'%s 'shmsem --help' lists them",
		name, suggest_text(best, "", text));
}

static int print_help(const char *name, struct error *err)
{
	const struct command *command = name ? find_command(name) : NULL;

	if (name && !command)
		return unknown_command(name, err);
	if (command)
		command_print_help(command);
	else
		print_usage(stdout);
	return STATUS_OK;
}

static int run_command(const struct command *command, int argc, char **argv, struct error *err)
{
	void *options = calloc(1, command->options_size ? command->options_size : 1);
	bool help;
	int first, status;

	if (!options)
		return error_os(err, ENOMEM, "cannot start");
	if (command->defaults)
		memcpy(options, command->defaults, command->options_size);
	status = options_parse(command, argc, argv, options, &first, &help, err);
	if (status == STATUS_OK && help)
		command_print_help(command);
	else if (status == STATUS_OK)
		status = command->run(options, argc - first, argv + first, err);
	free(options);
	return status;
}

/* What was written to stdout counts as done only when it has really gone out. */
static int finish_output(int status, struct error *err)
{
	int failed = ferror(stdout);

	if (fflush(stdout) == 0 && !failed)
		return status;
	if (errno == EPIPE) /* the reader has what it wanted, as with head(1) */
		return status;
	return error_os(err, errno ? errno : EIO, "cannot write to standard output");
}

int main(int argc, char **argv)
{
	struct error err = {0};
	const struct command *command;
	int status = STATUS_OK;
	char name[64] = "shmsem";

	fd_fill_standard();
	/* A file that may not grow (RLIMIT_FSIZE) is an error, EFBIG. */
	signal(SIGXFSZ, SIG_IGN);
	/* Ignored, as some parents leave it, it would take the ends of our children with it. */
	signal(SIGCHLD, SIG_DFL);
	if (argc > 1 && !strcmp(argv[1], DECODER_MODE))
		return decoder_main(argc, argv);
	if (argc > 1 && !strcmp(argv[1], HELPER_MODE))
		return helper_main(argc, argv);
	if (argc < 2) {
		print_usage(stderr);
		return STATUS_USAGE;
	}
	if (!strcmp(argv[1], COMPLETE_MODE)) {
		complete_print(argc - 2, argv + 2);
	} else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
		   !strcmp(argv[1], "help")) {
		status = print_help(argv[2], &err);
	} else if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		version_print(stdout);
	} else if ((command = find_command(argv[1]))) {
		snprintf(name, sizeof name, "shmsem %s", command->name);
		status = run_command(command, argc - 1, argv + 1, &err);
	} else {
		status = unknown_command(argv[1], &err);
	}
	status = finish_output(status, &err);
	if (err.text[0])
		fprintf(stderr, "%s: %s\n", name, err.text);
	return status;
}
