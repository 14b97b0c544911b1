#include "server/tar_header.h"

#include <stdio.h>
#include <string.h>

/* Where the fields are in a block, and their lengths. */
#define NAME      0, 100
#define SIZE      124, 12
#define CHECKSUM  148, 8
#define TYPE      156
#define MAGIC     257
#define PREFIX    345, 155
#define MORE_HERE 482 /* in a header: blocks of a map of holes follow */
#define MORE_MAP  504 /* in such a block: another follows */

/* Digits behind spaces, up to a space or a zero byte, which may be missing. */
static bool read_octal(const uint8_t *field, size_t length, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	while (i < length && field[i] == ' ')
		i++;
	for (; i < length && field[i] != ' ' && field[i]; i++) {
		if (field[i] < '0' || field[i] > '7' || value >> 60)
			return false;
		value = value << 3 | (uint64_t)(field[i] - '0');
	}
	*ret = value;
	return true;
}

/* As GNU tar writes what takes more digits: the first bit is set, a negative number has the second,
 * too. */
static bool read_binary(const uint8_t *field, size_t length, uint64_t *ret)
{
	uint64_t value = field[0] & 0x7f;

	for (size_t i = 1; i < length; i++) {
		if (value >> 55)
			return false;
		value = value << 8 | field[i];
	}
	*ret = value;
	return true;
}

static bool read_number(const uint8_t *block, size_t at, size_t length, uint64_t *ret)
{
	const uint8_t *field = block + at;

	return field[0] & 0x80 ? read_binary(field, length, ret) : read_octal(field, length, ret);
}

/* Old programs took the bytes for signed ones. */
static bool checksum_right(const uint8_t *block)
{
	uint64_t said;
	int64_t plain = 0, with_signs = 0;

	if (!read_number(block, CHECKSUM, &said))
		return false;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= 148 && i < 156;

		plain += own ? ' ' : block[i];
		with_signs += own ? ' ' : (int8_t)block[i];
	}
	return said == (uint64_t)plain || (int64_t)said == with_signs;
}

static size_t text_length(const uint8_t *block, size_t at, size_t length)
{
	return strnlen((const char *)block + at, length);
}

/* GNU tar has other things where the prefix is. */
static void read_name(const uint8_t *block, char *ret)
{
	size_t name = text_length(block, NAME), prefix = text_length(block, PREFIX);

	if (memcmp(block + MAGIC, "ustar", 6) != 0 || !prefix)
		snprintf(ret, 257, "%.*s", (int)name, (const char *)block);
	else
		snprintf(ret, 257, "%.*s/%.*s", (int)prefix, (const char *)block + 345, (int)name,
			(const char *)block);
}

static enum tar_kind kind_of(uint8_t type)
{
	switch (type) {
	case '\0':
	case '0':
	case '7':
		return TAR_FILE;
	case '1':
	case '2':
		return TAR_LINK;
	case '5':
	case 'D':
	case 'V':
		return TAR_FOLDER;
	case 'S':
		return TAR_SPARSE;
	case 'x':
	case 'X':
		return TAR_PAX;
	case 'L':
		return TAR_LONG_NAME;
	case 'g':
	case 'K':
		return TAR_IGNORED;
	default:
		return TAR_SPECIAL;
	}
}

/* Whatever their headers say: links may have the size of what they lead to. */
static bool has_data(uint8_t type)
{
	return type < '1' || type > '6';
}

const char *tar_header_read(const uint8_t block[TAR_BLOCK], struct tar_header *ret)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint8_t type = block[TYPE];

	*ret = (struct tar_header){.kind = TAR_END};
	if (!memcmp(block, zeros, TAR_BLOCK))
		return NULL;
	if (!checksum_right(block))
		return "the checksum is wrong";
	if (!read_number(block, SIZE, &ret->size))
		return "the size is no number";
	read_name(block, ret->name);
	ret->kind = kind_of(type);
	ret->more_blocks = ret->kind == TAR_SPARSE && block[MORE_HERE];
	ret->has_data = has_data(type);
	if (!ret->has_data)
		ret->size = 0;
	return NULL;
}

bool tar_sparse_more(const uint8_t block[TAR_BLOCK])
{
	return block[MORE_MAP];
}

/* Decimal digits; false if there are none, others or too many. */
static bool read_decimal(const char *text, size_t length, uint64_t *ret)
{
	uint64_t value = 0;

	if (!length || length > 18)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = 10 * value + (uint64_t)(text[i] - '0');
	}
	*ret = value;
	return true;
}

static bool is(const char *key, size_t length, const char *word)
{
	return length == strlen(word) && !memcmp(key, word, length);
}

/* "key=value": false if it makes no sense. */
static bool take_record(const char *text, size_t length, struct tar_pax *pax)
{
	const char *value = memchr(text, '=', length);
	size_t key, rest;

	if (!value)
		return false;
	key = (size_t)(value++ - text);
	rest = length - key - 1;
	if (is(text, key, "GNU.sparse.name"))
		pax->sparse_name = true;
	if (pax->sparse_name ? is(text, key, "GNU.sparse.name") : is(text, key, "path")) {
		pax->name = value;
		pax->name_length = rest;
	}
	if (is(text, key, "size")) {
		pax->has_size = true;
		return read_decimal(value, rest, &pax->size);
	} else if (key >= 11 && !memcmp(text, "GNU.sparse.", 11)) {
		pax->sparse = true;
	}
	return true;
}

/* Each record begins with its length, this number included, and ends with a newline. */
const char *tar_pax_read(const char *data, size_t size, struct tar_pax *ret)
{
	*ret = (struct tar_pax){0};
	for (size_t at = 0; at < size && data[at];) {
		const char *space = memchr(data + at, ' ', size - at);
		size_t digits = space ? (size_t)(space - data) - at : 0;
		uint64_t length = 0;

		if (!read_decimal(data + at, digits, &length) || length > size - at ||
			length < digits + 3 || data[at + length - 1] != '\n' ||
			!take_record(space + 1, (size_t)length - digits - 2, ret))
			return "a pax record makes no sense";
		at += (size_t)length;
	}
	return NULL;
}
