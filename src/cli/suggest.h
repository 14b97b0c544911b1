/* "did you mean ...": the known word nearest to one that is not. */
#pragma once

#include <stddef.h>

/*
 * Keeps in *best the candidate that is fewest letters away from `word`, if it is near enough to have
 * been meant. To be called with each candidate; *best begins as NULL.
 */
void suggest_try(const char *word, const char *candidate, const char **best);

/* What joins two messages: ", did you mean 'list'?", or ";" if nothing is near. */
#define SUGGEST_SIZE 96
const char *suggest_text(const char *best, const char *dashes, char text[SUGGEST_SIZE]);
