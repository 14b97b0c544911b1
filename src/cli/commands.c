#include "cli/commands.h"

const struct command *const commands[] = {
	&command_serve,
	&command_fetch,
	&command_prefetch,
	&command_list,
	&command_cleanup,
	&command_bench,
	&command_doctor,
	NULL,
};
