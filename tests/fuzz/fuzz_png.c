#include "fuzz.h"
#include "image.h"

#include <string.h>

#include <zlib.h>

/* libFuzzer's own. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static uint32_t get_be32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

/* Makes every CRC right again: otherwise hardly a mutation would get past it. */
static void mend(uint8_t *data, size_t size)
{
	size_t at = IMAGE_OPTION_BYTES + 8;

	while (size >= at + 12) {
		size_t length = get_be32(data + at);
		uint32_t sum;

		if (length > size - at - 12)
			return;
		sum = (uint32_t)crc32(0, data + at + 4, (uInt)length + 4);
		for (size_t i = 0; i < 4; i++)
			data[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
		at += length + 12;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	size_t mutated = LLVMFuzzerMutate(data, size, most);

	/* One in eight keeps its wrong CRCs. */
	if (seed % 8)
		mend(data, mutated);
	return mutated;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_image(data, size);
	return 0;
}
