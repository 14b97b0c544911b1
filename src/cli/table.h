/*
 * Tables for people, scripts (--raw) and programs (--json), the way lsblk and lsipc have them.
 */
#pragma once

#include "base/error.h"
#include "cli/text_pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum table_kind {
	TABLE_TEXT,
	TABLE_NAME,    /* text that is shortened in its middle where a terminal is too narrow */
	TABLE_WIDE,    /* text that may be broken over several lines */
	TABLE_NUMBER,  /* a number in JSON, too */
	TABLE_SIZE,    /* bytes; a number in JSON if --bytes */
	TABLE_NUMBERS, /* a list of numbers, which may be broken over several lines */
};

struct table_column {
	const char *name;
	enum table_kind kind;
	const char *help;
};

#define TABLE_COLUMNS_MAX 32

/* Which columns, in which order, as indices. */
struct table_selection {
	size_t columns[TABLE_COLUMNS_MAX];
	size_t count;
};

struct table_style {
	bool json, raw, bytes, noheadings;
	bool colours;
	size_t width; /* of the terminal that it is to fit; 0: as wide as it comes */
	/* Where it does not fit, these columns are left out, the first one first; a NULL ends them.
	 */
	const char *const *gives_way;
};

/* How a cell stands out, where there are colours. */
enum table_tint {
	TINT_NONE,
	TINT_GOOD,
	TINT_WARNING,
	TINT_BAD,
	TINT_FAINT,
};

struct table_cell {
	const char *text; /* fit to print; NULL: empty */
	uint32_t columns; /* that it takes on a terminal */
	bool verbatim;    /* nothing had to be escaped */
	enum table_tint tint : 8;
};

struct table {
	const char *name;
	const struct table_column *columns[TABLE_COLUMNS_MAX]; /* the chosen ones */
	size_t width;                                          /* how many */
	struct table_style style;
	struct table_cell *cells; /* line by line */
	size_t lines, room;
	struct text_pool texts;
};

#define TABLE_NONE ((struct table){0})

/*
 * Reads what --output says: "NAME,SIZE", or "+WHY" to have more than the defaults; NULL means just
 * these. `all` ends with a row without a name. STATUS_USAGE, telling the columns, for an unknown
 * one.
 */
int table_select(const char *text, const char *defaults, const struct table_column *all,
	struct table_selection *ret, struct error *err);

/* An empty table; `name` is what JSON calls the list of its lines. */
int table_init(struct table *ret, const char *name, const struct table_column *all,
	const struct table_selection *selection, const struct table_style *style,
	struct error *err);
void table_release(struct table *table);

#define AUTO_TABLE __attribute__((cleanup(table_release)))

/* Starts a line. */
int table_add_line(struct table *table, struct error *err);

/* Fills a cell of that line; `at` counts in the selection. Any bytes: they are escaped as needed.
 */
int table_put(struct table *table, size_t at, const char *text, struct error *err);

/* The same for a TABLE_NUMBERS. */
int table_put_numbers(
	struct table *table, size_t at, const int64_t *numbers, size_t count, struct error *err);

/* Has the cell stand out. */
void table_tint(struct table *table, size_t at, enum table_tint tint);

/* To stdout. */
int table_print(struct table *table, struct error *err);

/* Bytes as --bytes has them or for people. */
#define TABLE_SIZE_TEXT 24
const char *table_size_text(const struct table *table, uint64_t bytes, char text[TABLE_SIZE_TEXT]);
