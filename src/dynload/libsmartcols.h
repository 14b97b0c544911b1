/* What is used of libsmartcols. */
#pragma once

#include "dynload/dynload.h"

#include <libsmartcols/libsmartcols.h>

#define LIBSMARTCOLS(F)           \
	F(scols_line_set_data)    \
	F(scols_new_table)        \
	F(scols_print_table)      \
	F(scols_table_new_column) \
	F(scols_table_new_line)   \
	F(scols_table_set_stream) \
	F(scols_unref_table)

struct libsmartcols {
	LIBSMARTCOLS(DYNLOAD_MEMBER)
};

extern struct libsmartcols libsmartcols;

int libsmartcols_load(struct error *err);

#define scols_line_set_data    libsmartcols.scols_line_set_data
#define scols_new_table        libsmartcols.scols_new_table
#define scols_print_table      libsmartcols.scols_print_table
#define scols_table_new_column libsmartcols.scols_table_new_column
#define scols_table_new_line   libsmartcols.scols_table_new_line
#define scols_table_set_stream libsmartcols.scols_table_set_stream
#define scols_unref_table      libsmartcols.scols_unref_table
