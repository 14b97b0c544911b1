/* The one reader of a test program: what a file gives must not depend on those before it. */
#pragma once

#include "image_samples.h"

static struct image_reader *reader;

static int make_reader(void **state)
{
	(void)state;
	return image_reader_new(&reader, NULL);
}

static int drop_reader(void **state)
{
	(void)state;
	reader = image_reader_free(reader);
	return 0;
}
