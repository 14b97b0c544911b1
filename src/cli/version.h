#pragma once

#include <stdio.h>

/* Names the version, the libraries it was built with, and the optional features that are in. */
void version_print(FILE *file);
