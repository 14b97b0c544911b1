/*
 * What a shell may offer for a half-typed command line, from the tables that the commands have; the
 * completions for bash, zsh and fish only pass it on.
 */
#pragma once

/* argv[1] of the mode that the completions use. */
#define COMPLETE_MODE "__complete"

/*
 * Prints, for the words after "shmsem", the last of them perhaps half typed or empty, what that may
 * become: a candidate a line, a tab, and what it is. A line ":files" or ":directories" means that
 * the shell is to offer these. Never fails: what cannot be found out is not offered.
 */
void complete_print(int argc, char **argv);
