/* What the test and its hostile codec have agreed on. */
#pragma once

/* An honest image: that many pixels a side, three channels, every byte the same. */
#define SIDE      32
#define GOOD_BYTE 0x11

/* Bytes that a decoder writes where nothing is. */
#define FILLED (12 << 20)

/* Bytes that it takes for a large image. */
#define TAKEN (120 << 20)
