/*
 * What libjpeg calls back: for errors, warnings, progress, and markers.
 */
#pragma once

#include "image/jpeg_codec.h"

/* Once for each codec: its error manager. All of them go to codec->jump after an error. */
void jpeg_calls_set_errors(struct jpeg_codec *codec);

/* Once for each decompressor: limits on scans and markers, and what markers tell. */
void jpeg_calls_set_markers(struct jpeg_codec *codec);
