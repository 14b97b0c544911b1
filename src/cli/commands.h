/* The commands, one file each. */
#pragma once

#include "cli/command.h"

extern const struct command command_serve;
extern const struct command command_fetch;
extern const struct command command_prefetch;
extern const struct command command_list;
extern const struct command command_cleanup;
extern const struct command command_bench;
extern const struct command command_doctor;
