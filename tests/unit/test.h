/*
 * What every unit test includes: cmocka, and its macros' own needs. cmocka's assertions do not
 * depend on NDEBUG.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
