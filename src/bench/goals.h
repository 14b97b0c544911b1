/*
 * What shmsem is after: each goal with its limit, what was measured, and whether that reaches it.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

enum goal {
	GOAL_EMPTY_HOT,
	GOAL_EMPTY_ASLEEP,
	GOAL_ONE_CPU,
	GOAL_STORED,
	GOAL_STORED_SAME,
	GOAL_LOOKUP,
	GOAL_LOOKUP_ASLEEP,
	GOAL_LOOKUP_MANY,
	GOAL_BESIDE,
	GOAL_BESIDE_ASLEEP,
	GOAL_SWITCHES,
	GOAL_STORED_CROWD,
	GOAL_FRESH,
	GOAL_PNG,
	GOAL_PNG_NOISE,
	GOAL_PNG_DEEP,
	GOAL_FRESH_ICON,
	GOAL_FRESH_CPU,
	GOAL_CROWD,
	GOAL_FAIR,
	GOAL_HELD,
	GOAL_PROCESS,
	GOAL_IDLE,
	GOAL_SEATS,
	GOAL_FOLDERS,
	GOAL_NAMES,
	GOAL_PYTHON_FETCH,
	GOAL_PYTHON_ARRAY,
	GOAL_PYTHON_IMPORT,
	GOAL_REDUCED,
	GOAL_RESIZE,
	GOALS,
};

struct goal_text {
	const char *what;
	const char *limit; /* in words */
	const char *unit;  /* of what is measured */
	double bound;
	bool at_least; /* the bound is a floor, not a ceiling */
};

extern const struct goal_text goal_texts[GOALS];

/* What has been measured of each; `known` where it has. */
struct goal_values {
	double values[GOALS];
	bool known[GOALS];
};

/* Notes a measurement; of several for one goal the worst counts. */
void goal_note(struct goal_values *goals, enum goal goal, double value);

bool goal_reached(const struct goal_values *goals, enum goal goal);

/* Whether any goal has been measured. */
bool goals_known(const struct goal_values *goals);
