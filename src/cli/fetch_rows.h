/*
 * The options that say which server is asked, and what of an image, for the tables of the commands
 * that have them. There ROW(field) is the offset of a field of struct fetch_options in the command's
 * options.
 */
#pragma once

#include "cli/command.h"

/* The words that some of them take. */
extern const struct option_values fetch_values[];

#define FETCH_SERVER_ROWS                                                                          \
	{'N', "namespace", "NS", "name of the exchange (default: $SHMSEM_NAMESPACE, else shmsem)", \
		OPTION_TEXT, ROW(name_space), 0, 0, NULL},                                         \
	{                                                                                          \
		0, "server-user", "USER|any",                                                      \
			"whose server to ask (default: yours, root's, $SHMSEM_SERVER_USER's)",     \
			OPTION_TEXT, ROW(server_user), 0, 0, NULL                                  \
	}

#define FETCH_REQUEST_ROWS                                                                         \
	{0, "scale", "1/N", "smaller: 1/2, 1/4 or 1/8", OPTION_TEXT, ROW(scale), 0, 0, NULL},      \
		{0, "fit", "WxH", "the smallest of these scales that is not smaller than W x H",   \
			OPTION_TEXT, ROW(fit), 0, 0, NULL},                                        \
		{0, "size", "WxH|W|xH", "in exactly this size; of one side, the other follows",    \
			OPTION_TEXT, ROW(size), 0, 0, NULL},                                       \
		{0, "shorter", "N", "so large that the shorter side has N pixels", OPTION_NUMBER,  \
			ROW(shorter), 1, 65535, NULL},                                             \
		{0, "longer", "N", "so large that the longer side has N pixels", OPTION_NUMBER,    \
			ROW(longer), 1, 65535, NULL},                                              \
		{0, "resample", "FILTER",                                                          \
			"for these: box, bilinear, bicubic or lanczos (default: bicubic)",         \
			OPTION_TEXT, ROW(resample), 0, 0, NULL},                                   \
		{0, "crop", "WxH[+X+Y]",                                                           \
			"only this part, before it is resized (default: the middle)", OPTION_TEXT, \
			ROW(crop), 0, 0, NULL},                                                    \
		{0, "draft", NULL,                                                                 \
			"let a JPEG's codec reduce it first: faster, not the same pixels",         \
			OPTION_FLAG, ROW(draft), 0, 0, NULL},                                      \
		{0, "channels", "KIND", "gray, rgb or rgba (default: as the file has them)",       \
			OPTION_TEXT, ROW(channels), 0, 0, NULL},                                   \
		{0, "premultiply", NULL, "colours multiplied by alpha", OPTION_FLAG,               \
			ROW(premultiply), 0, 0, NULL},                                             \
		{0, "layout", "ORDER", "rgb or bgr (default: rgb)", OPTION_TEXT, ROW(layout), 0,   \
			0, NULL},                                                                  \
		{0, "depth", "BITS", "8, or native: 16-bit samples stay 16-bit (default: 8)",      \
			OPTION_TEXT, ROW(depth), 0, 0, NULL},                                      \
		{0, "no-orient", NULL, "do not turn the image upright, but say how it lies",       \
			OPTION_FLAG, ROW(keep_orientation), 0, 0, NULL},                           \
		{0, "strict", NULL, "a damaged end is an error, for JPEG, too", OPTION_FLAG,       \
			ROW(strict), 0, 0, NULL},                                                  \
	{                                                                                          \
		0, "lenient", NULL, "a damaged end is a warning, for PNG, too", OPTION_FLAG,       \
			ROW(lenient), 0, 0, NULL                                                   \
	}
