#include "cli/table_text.h"

#include "cli/terminal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * libsmartcols 2.38 draws such tables, too, and wraps at blanks if it is told where. But it leaves no
 * column out: it cuts all that may be cut, to "unknow" and "psm_00"; names are cut at their end,
 * where they differ; and 200,000 lines of 9 columns take it 2.0 s.
 */

/* Columns that wrap, and names that are shortened, get at least that much where there is any. */
#define WRAPPED_LEAST 34
#define NAME_LEAST    28

struct layout {
	size_t widths[TABLE_COLUMNS_MAX]; /* 0: left out */
	size_t last;                      /* column that is shown */
};

static bool is_wrapped(const struct table *table, size_t at)
{
	return table->columns[at]->kind == TABLE_WIDE || table->columns[at]->kind == TABLE_NUMBERS;
}

static bool is_right(const struct table *table, size_t at)
{
	return table->columns[at]->kind == TABLE_NUMBER || table->columns[at]->kind == TABLE_SIZE;
}

static void measure(const struct table *table, struct layout *layout)
{
	for (size_t at = 0; at < table->width; at++)
		layout->widths[at] = table->style.noheadings ? 1 : strlen(table->columns[at]->name);
	for (size_t i = 0; i < table->lines * table->width; i++) {
		size_t *width = &layout->widths[i % table->width];

		if (table->cells[i].columns > *width)
			*width = table->cells[i].columns;
	}
}

/* What the line takes if no wrapped column has more than `most`. */
static size_t total(const struct table *table, const struct layout *layout, size_t most)
{
	size_t sum = 0;

	for (size_t at = 0; at < table->width; at++) {
		size_t width = layout->widths[at];

		if (is_wrapped(table, at) && width > most)
			width = most;
		if (width)
			sum += width + (sum != 0);
	}
	return sum;
}

/* Leaves out that column, if it is one that was chosen. */
static void leave_out(const struct table *table, struct layout *layout, const char *name)
{
	for (size_t at = 0; at < table->width; at++)
		if (!strcmp(table->columns[at]->name, name))
			layout->widths[at] = 0;
}

/* Takes what is too much from columns of one sort, down to `least`. */
static void narrow(const struct table *table, struct layout *layout, bool names, size_t least)
{
	for (size_t at = table->width; at-- > 0;) {
		size_t *width = &layout->widths[at], sum = total(table, layout, SIZE_MAX), surplus;

		if (names ? table->columns[at]->kind != TABLE_NAME : !is_wrapped(table, at))
			continue;
		if (sum <= table->style.width || *width <= least)
			continue;
		surplus = sum - table->style.width;
		*width = *width - least < surplus ? least : *width - surplus;
	}
}

static struct layout lay_out(const struct table *table)
{
	const char *const *gives_way = table->style.gives_way;
	struct layout layout = {0};
	size_t width = table->style.width;

	measure(table, &layout);
	if (width) {
		while (gives_way && *gives_way && total(table, &layout, WRAPPED_LEAST) > width)
			leave_out(table, &layout, *gives_way++);
		narrow(table, &layout, false, WRAPPED_LEAST);
		narrow(table, &layout, true, NAME_LEAST);
		narrow(table, &layout, false, WRAPPED_LEAST / 2);
		narrow(table, &layout, true, NAME_LEAST / 2);
		narrow(table, &layout, false, WRAPPED_LEAST / 4);
	}
	for (size_t at = 0; at < table->width; at++)
		if (layout.widths[at])
			layout.last = at;
	return layout;
}

static size_t next_character(const char *text, size_t at)
{
	for (at += text[at] != '\0'; ((unsigned char)text[at] & 0xC0) == 0x80; at++)
		;
	return at;
}

/* Prints "beginning…end" of a text that is too long. */
static void print_shortened(const char *text, size_t length, size_t columns, size_t width)
{
	size_t head = (width - 1) / 2, tail = width - 1 - head, at = 0;

	for (size_t i = 0; i < head; i++)
		at = next_character(text, at);
	printf("%.*s…", (int)at, text);
	at = 0;
	for (size_t i = 0; i < columns - tail; i++)
		at = next_character(text, at);
	fwrite(text + at, 1, length - at, stdout);
}

static const char *const tints[] = {
	[TINT_NONE] = NULL,
	[TINT_GOOD] = TERMINAL_GREEN,
	[TINT_WARNING] = TERMINAL_YELLOW,
	[TINT_BAD] = TERMINAL_RED,
	[TINT_FAINT] = "\033[2m",
};

static void print_blanks(size_t count)
{
	while (count--)
		putchar_unlocked(' ');
}

/* What is to be printed of a cell, or left of it. */
struct part {
	const char *text;
	size_t length, columns;
};

/* Takes from `rest` what fits into a line of the column. */
static struct part next_part(
	const struct table *table, const struct layout *layout, size_t at, struct part *rest)
{
	struct part part = *rest;

	if (table->style.width && is_wrapped(table, at) && part.columns > layout->widths[at]) {
		part.length = text_wrap(part.text, layout->widths[at]);
		part.columns = text_columns(part.text, part.length);
	}
	rest->text += part.length;
	rest->length -= part.length;
	while (*rest->text == ' ') {
		rest->text++;
		rest->length--;
	}
	rest->columns = text_columns(rest->text, rest->length);
	return part;
}

/* One line of a cell, padded unless it ends the line. */
static void print_part(const struct table *table, const struct layout *layout, size_t at,
	const struct part *part, enum table_tint tint)
{
	size_t width = layout->widths[at];
	size_t blanks = part->columns < width ? width - part->columns : 0;
	const char *begin = table->style.colours && part->length ? tints[tint] : NULL;

	if (is_right(table, at))
		print_blanks(blanks);
	if (begin)
		fputs(begin, stdout);
	if (part->columns > width)
		print_shortened(part->text, part->length, part->columns, width);
	else
		fwrite_unlocked(part->text, 1, part->length, stdout);
	if (begin)
		fputs(TERMINAL_PLAIN, stdout);
	if (!is_right(table, at) && at != layout->last)
		print_blanks(blanks);
	putchar_unlocked(at == layout->last ? '\n' : ' ');
}

/* Prints the line, and further ones as long as a wrapped column has more; `rests` are its cells,
 * which are used up. */
static void print_line(const struct table *table, const struct layout *layout, struct part *rests,
	const struct table_cell *cells)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t at = 0; at < table->width; at++) {
			struct part part;

			if (!layout->widths[at])
				continue;
			part = next_part(table, layout, at, &rests[at]);
			more = more || rests[at].length;
			print_part(table, layout, at, &part, cells ? cells[at].tint : TINT_NONE);
		}
	}
}

static struct part whole(const char *text, size_t columns)
{
	return (struct part){.text = text, .length = strlen(text), .columns = columns};
}

void table_print_text(const struct table *table)
{
	struct layout layout = lay_out(table);
	struct part rests[TABLE_COLUMNS_MAX];

	if (!table->lines)
		return;
	for (size_t at = 0; at < table->width; at++)
		rests[at] = whole(table->columns[at]->name, strlen(table->columns[at]->name));
	if (!table->style.noheadings)
		print_line(table, &layout, rests, NULL);
	for (size_t line = 0; line < table->lines; line++) {
		const struct table_cell *cells = table->cells + line * table->width;

		for (size_t at = 0; at < table->width; at++)
			rests[at] = whole(cells[at].text ? cells[at].text : "", cells[at].columns);
		print_line(table, &layout, rests, cells);
	}
}
