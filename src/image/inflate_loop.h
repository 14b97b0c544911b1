/*
 * The loop that decodes most of a block.
 */
#pragma once

#include "image/inflate_bits.h"

/* Decodes as long as it can without looking at each symbol where input and output end. */
enum inflate_outcome inflate_loop(const struct inflater *work, struct inflate_stream *stream);
