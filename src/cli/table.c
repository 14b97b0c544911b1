#include "cli/table.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "base/text.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
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
	struct table_selection selection = {0};
	int status = STATUS_OK;

	if (!text || *text == '+')
		status = select_columns(defaults, all, &selection, err);
	if (!status && text)
		status = select_columns(text + (*text == '+'), all, &selection, err);
	if (!status && !selection.count)
		status = unknown_column("", 0, all, err);
	if (!status)
		*ret = selection;
	return status;
}

static int json_type(enum table_kind kind, const struct table_style *style)
{
	if (kind == TABLE_NUMBER || (kind == TABLE_SIZE && style->bytes))
		return SCOLS_JSON_NUMBER;
	return kind == TABLE_NUMBERS ? SCOLS_JSON_ARRAY_NUMBER : SCOLS_JSON_STRING;
}

static int no_memory(struct error *err)
{
	return error_os(err, ENOMEM, "cannot make a table");
}

static int add_column(struct table *table, const struct table_column *column, struct error *err)
{
	bool right = column->kind == TABLE_NUMBER || column->kind == TABLE_SIZE;
	struct libscols_column *made = scols_table_new_column(table->lines, column->name, 0,
		right                           ? SCOLS_FL_RIGHT
		: column->kind == TABLE_WIDE    ? SCOLS_FL_WRAP
		: column->kind == TABLE_NUMBERS ? SCOLS_FL_WRAP
						: 0);

	if (!made || scols_column_set_json_type(made, json_type(column->kind, &table->style)) != 0)
		return no_memory(err);
	/* The items of a list are lines of a cell, which is how JSON arrays are made. */
	if (column->kind == TABLE_NUMBERS && table->style.json &&
		scols_column_set_wrapfunc(
			made, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL) != 0)
		return no_memory(err);
	return STATUS_OK;
}

int table_init(struct table *ret, const char *name, const struct table_column *all,
	const struct table_selection *selection, const struct table_style *style, struct error *err)
{
	struct table table = {.style = *style};
	int status = STATUS_OK;

	scols_init_debug(0);
	table.lines = scols_new_table();
	if (!table.lines || scols_table_set_name(table.lines, name) != 0) {
		table_release(&table);
		return no_memory(err);
	}
	scols_table_enable_json(table.lines, style->json);
	scols_table_enable_raw(table.lines, style->raw);
	scols_table_enable_noheadings(table.lines, style->noheadings);
	/* What is put in has been made safe already. */
	scols_table_enable_noencoding(table.lines, !style->raw);
	for (size_t i = 0; i < selection->count && !status; i++)
		status = add_column(&table, &all[selection->columns[i]], err);
	if (status) {
		table_release(&table);
		return status;
	}
	*ret = table;
	return STATUS_OK;
}

void table_release(struct table *table)
{
	scols_unref_table(table->lines);
	*table = TABLE_NONE;
}

int table_add_line(struct table *table, struct error *err)
{
	table->line = scols_table_new_line(table->lines, NULL);
	return table->line ? STATUS_OK : no_memory(err);
}

static int put_as_is(struct table *table, size_t at, const char *text, struct error *err)
{
	return scols_line_set_data(table->line, at, text) == 0 ? STATUS_OK : no_memory(err);
}

int table_put(struct table *table, size_t at, const char *text, struct error *err)
{
	size_t length = strlen(text), size = 4 * length + 1;
	AUTO_FREE char *shown = NULL;

	/* --raw is for taking apart: there, libsmartcols escapes, and blanks as well. */
	if (table->style.raw)
		return put_as_is(table, at, text, err);
	shown = malloc(size);
	if (!shown)
		return no_memory(err);
	return put_as_is(table, at, text_escape(text, length, shown, size), err);
}

int table_put_numbers(
	struct table *table, size_t at, const int64_t *numbers, size_t count, struct error *err)
{
	AUTO_FREE char *text = malloc(24 * count + 1);
	size_t used = 0;

	if (!text)
		return no_memory(err);
	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, "%s%lld",
			!i                  ? ""
			: table->style.json ? "\n"
					    : ",",
			(long long)numbers[i]);
	return put_as_is(table, at, text, err);
}

int table_print(struct table *table, struct error *err)
{
	if (scols_print_table(table->lines) != 0)
		return error_set(err, STATUS_IO, "cannot print the table");
	return STATUS_OK;
}

const char *table_size_text(const struct table *table, uint64_t bytes, char text[TABLE_SIZE_TEXT])
{
	if (table->style.bytes)
		snprintf(text, TABLE_SIZE_TEXT, "%llu", (unsigned long long)bytes);
	else
		format_size(bytes, text);
	return text;
}
