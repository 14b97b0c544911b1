#include "image/jpeg_markers.h"

#include <stdbool.h>

enum {
	MARKER_TEM = 0x01,
	MARKER_RST0 = 0xd0,
	MARKER_RST7 = 0xd7,
	MARKER_SOI = 0xd8,
	MARKER_EOI = 0xd9,
	MARKER_SOS = 0xda,
};

/* Bytes that may follow 0xff within entropy-coded data. */
static bool in_scan(uint8_t byte)
{
	return byte == 0 || byte == 0xff || (byte >= MARKER_RST0 && byte <= MARKER_RST7);
}

static bool has_length(uint8_t marker)
{
	return marker != MARKER_SOI && marker != MARKER_EOI && marker != MARKER_TEM;
}

size_t jpeg_last_marker(const uint8_t *data, size_t size, size_t before)
{
	size_t last = 0, at = 0, length;
	bool scan = false, last_is_scan = false;

	while (at < before && at + 1 < size) {
		uint8_t marker = data[at + 1];

		if (data[at] != 0xff || in_scan(marker)) {
			at++;
			continue;
		}
		scan |= last_is_scan;
		last = at;
		last_is_scan = marker == MARKER_SOS;
		at += 2;
		if (!has_length(marker) || at + 1 >= size)
			continue;
		length = (size_t)data[at] << 8 | data[at + 1];
		at += length < 2 ? 2 : length;
	}
	return scan ? last : 0;
}
