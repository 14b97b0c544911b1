/* What the test and its hostile codec have agreed on. */
#pragma once

/* An honest image: that many pixels a side, three channels, every byte the same. */
#define SIDE      32
#define GOOD_BYTE 0x11
