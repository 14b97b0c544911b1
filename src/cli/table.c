#include "cli/table.h"

#include "base/grow.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/table_text.h"
#include "cli/terminal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int unknown_column(
	const char *name, size_t length, const struct table_column *all, struct error *err)
{
	char known[ERROR_TEXT_SIZE / 2] = "", shown[64];
	size_t used = 0;

	for (const struct table_column *column = all; column->name; column++)
		used += (size_t)snprintf(used < sizeof known ? known + used : NULL,
			used < sizeof known ? sizeof known - used : 0, "%s%s", used ? ", " : "",
			column->name);
	return error_set(err, STATUS_USAGE, "there is no column '%s', but: %s",
		text_escape(name, length, shown, sizeof shown), known);
}

static int select_columns(const char *text, const struct table_column *all,
	struct table_selection *selection, struct error *err)
{
	for (const char *at = text; *at;) {
		size_t length = strcspn(at, ","), column = 0;

		while (all[column].name && (strncasecmp(all[column].name, at, length) != 0 ||
						   all[column].name[length]))
			column++;
		if (!all[column].name)
			return unknown_column(at, length, all, err);
		if (selection->count == TABLE_COLUMNS_MAX)
			return error_set(
				err, STATUS_USAGE, "more than %d columns", TABLE_COLUMNS_MAX);
		selection->columns[selection->count++] = column;
		at += length + (at[length] == ',');
	}
	return STATUS_OK;
}

int table_select(const char *text, const char *defaults, const struct table_column *all,
	struct table_selection *ret, struct error *err)
{
	bool adds = text && *text == '+';
	struct table_selection selection = {0};
	int status = STATUS_OK;

	if (!text || adds)
		status = select_columns(defaults, all, &selection, err);
	if (status)
		return status;
	status = text ? select_columns(text + adds, all, &selection, err) : STATUS_OK;
	if (status)
		return status;
	if (!selection.count)
		return unknown_column("", 0, all, err);
	*ret = selection;
	return STATUS_OK;
}

static int no_memory(struct error *err)
{
	return error_os(err, ENOMEM, "cannot make a table");
}

int table_init(struct table *ret, const char *name, const struct table_column *all,
	const struct table_selection *selection, const struct table_style *style, struct error *err)
{
	struct table table = {.name = name, .width = selection->count, .style = *style};

	(void)err;
	for (size_t at = 0; at < selection->count; at++)
		table.columns[at] = &all[selection->columns[at]];
	*ret = table;
	return STATUS_OK;
}

void table_release(struct table *table)
{
	text_pool_release(&table->texts);
	free(table->cells);
	*table = TABLE_NONE;
}

int table_add_line(struct table *table, struct error *err)
{
	size_t line = table->width * sizeof *table->cells;
	struct table_cell *more = grow(table->cells, table->lines, &table->room, line);

	if (!more)
		return no_memory(err);
	table->cells = more;
	memset(table->cells + table->lines * table->width, 0, line);
	table->lines++;
	return STATUS_OK;
}

static struct table_cell *cell_at(const struct table *table, size_t at)
{
	return &table->cells[(table->lines - 1) * table->width + at];
}

/* Has the cell say what was written (`length` bytes and a NUL) to the room reserved last. */
static void set_text(struct table *table, size_t at, const char *text, size_t length, bool verbatim)
{
	struct table_cell *cell = cell_at(table, at);

	text_pool_take(&table->texts, length + 1);
	cell->text = text;
	cell->columns = (uint32_t)text_columns(text, length);
	cell->verbatim = verbatim;
}

/* Whether the cell above says the same: then its text serves both. */
static bool repeat_above(struct table *table, size_t at, const char *text)
{
	struct table_cell *cell = cell_at(table, at);
	const struct table_cell *above = table->lines > 1 ? cell - table->width : NULL;

	if (!above || !above->verbatim || strcmp(above->text, text) != 0)
		return false;
	cell->text = above->text;
	cell->columns = above->columns;
	cell->verbatim = true;
	return true;
}

int table_put(struct table *table, size_t at, const char *text, struct error *err)
{
	size_t length, size, taken;
	char *shown;

	if (!*text || repeat_above(table, at, text))
		return STATUS_OK;
	length = strlen(text);
	size = 4 * length + 1;
	shown = text_pool_reserve(&table->texts, size);
	if (!shown)
		return no_memory(err);
	text_escape(text, length, shown, size);
	taken = strlen(shown);
	set_text(table, at, shown, taken, taken == length);
	return STATUS_OK;
}

int table_put_numbers(
	struct table *table, size_t at, const int64_t *numbers, size_t count, struct error *err)
{
	char *text = text_pool_reserve(&table->texts, 24 * count + 1);
	size_t used = 0;

	if (!text)
		return no_memory(err);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, "%s%lld", i ? "," : "", (long long)numbers[i]);
	set_text(table, at, text, used, true);
	return STATUS_OK;
}

void table_tint(struct table *table, size_t at, enum table_tint tint)
{
	cell_at(table, at)->tint = tint;
}

/* --raw is for taking apart: a blank within a cell is none between two. */
static void print_raw_text(const char *text)
{
	for (; *text; text++) {
		if (*text == ' ')
			fputs("\\x20", stdout);
		else
			putchar(*text);
	}
}

static void print_raw(const struct table *table)
{
	if (!table->style.noheadings)
		for (size_t at = 0; at < table->width; at++)
			printf("%s%c", table->columns[at]->name,
				at + 1 < table->width ? ' ' : '\n');
	for (size_t i = 0; i < table->lines * table->width; i++) {
		if (table->cells[i].text)
			print_raw_text(table->cells[i].text);
		putchar((i + 1) % table->width ? ' ' : '\n');
	}
}

/* Cells have no control bytes and are UTF-8; so a quotation mark and a backslash are all there is
 * to escape. */
static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static void print_json_cell(
	const struct table *table, const struct table_column *column, const char *text)
{
	bool number = column->kind == TABLE_NUMBER ||
		      (column->kind == TABLE_SIZE && table->style.bytes);

	if (column->kind == TABLE_NUMBERS)
		printf("[%s]", text ? text : "");
	else if (!text)
		fputs("null", stdout);
	else if (number)
		fputs(text, stdout);
	else
		print_json_text(text);
}

static void print_json_key(const struct table_column *column)
{
	putchar('"');
	for (const char *letter = column->name; *letter; letter++)
		putchar(tolower((unsigned char)*letter));
	fputs("\": ", stdout);
}

static void print_json(const struct table *table)
{
	printf("{\n   \"%s\": [", table->name);
	for (size_t i = 0; i < table->lines * table->width; i++) {
		const struct table_column *column = table->columns[i % table->width];

		if (i % table->width)
			fputs(", ", stdout);
		else
			fputs(i ? "},\n      {" : "\n      {", stdout);
		print_json_key(column);
		print_json_cell(table, column, table->cells[i].text);
	}
	puts(table->lines ? "}\n   ]\n}" : "]\n}");
}

int table_print(struct table *table, struct error *err)
{
	if (table->style.json)
		print_json(table);
	else if (table->style.raw)
		print_raw(table);
	else
		table_print_text(table);
	/* That nobody reads any more (EPIPE) is no fault: main ends quietly. */
	if (ferror(stdout) && errno != EPIPE)
		return error_os(err, errno ? errno : EIO, "cannot write to standard output");
	return STATUS_OK;
}

const char *table_size_text(const struct table *table, uint64_t bytes, char text[TABLE_SIZE_TEXT])
{
	if (table->style.bytes)
		format_number(bytes, text);
	else
		format_size(bytes, text);
	return text;
}
