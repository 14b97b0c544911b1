/* The commands, one file each. */
#pragma once

#include "cli/command.h"
