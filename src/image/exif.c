#include "image/exif.h"

#include <stdbool.h>

enum {
	TIFF_HEADER = 8,
	ENTRY_SIZE = 12,
	TYPE_SHORT = 3,
	TYPE_LONG = 4,
	TAG_ORIENTATION = 0x0112,
};

/* All reads are of bytes that the caller has checked to be there. */
static uint32_t get16(const uint8_t *bytes, bool big)
{
	return big ? (uint32_t)bytes[0] << 8 | bytes[1] : (uint32_t)bytes[1] << 8 | bytes[0];
}

static uint32_t get32(const uint8_t *bytes, bool big)
{
	return big ? get16(bytes, big) << 16 | get16(bytes + 2, big)
		   : get16(bytes + 2, big) << 16 | get16(bytes, big);
}

static unsigned entry_value(const uint8_t *entry, bool big)
{
	uint32_t type = get16(entry + 2, big), count = get32(entry + 4, big), value;

	if (count != 1)
		return 0;
	if (type == TYPE_SHORT)
		value = get16(entry + 8, big);
	else if (type == TYPE_LONG)
		value = get32(entry + 8, big);
	else
		return 0;
	return value >= 1 && value <= 8 ? value : 0;
}

unsigned exif_orientation(const uint8_t *data, size_t size)
{
	bool big;
	size_t at, entries;

	if (size < TIFF_HEADER || data[0] != data[1] || (data[0] != 'I' && data[0] != 'M'))
		return 0;
	big = data[0] == 'M';
	at = get32(data + 4, big);
	if (get16(data + 2, big) != 42 || at > size || size - at < 2)
		return 0;

	entries = get16(data + at, big);
	at += 2;
	for (; entries > 0 && size - at >= ENTRY_SIZE; entries--, at += ENTRY_SIZE) {
		if (get16(data + at, big) == TAG_ORIENTATION)
			return entry_value(data + at, big);
	}
	return 0;
}
