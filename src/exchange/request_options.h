/*
 * Options of a request that are out of range, or contradict each other whatever the image. Requesters look
 * before they ask, servers before they do anything for it.
 */
#pragma once

#include "base/error.h"
#include "exchange/wire.h"

/* STATUS_USAGE if so. */
int request_options_check(const struct wire_options *options, struct error *err);
