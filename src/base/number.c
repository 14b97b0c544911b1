#include "base/number.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool size_multiply(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return false;
	*ret = product;
	return true;
}

bool size_add(uint64_t a, uint64_t b, uint64_t *ret)
{
	uint64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return false;
	*ret = sum;
	return true;
}

bool size_align(uint64_t value, uint64_t alignment, uint64_t *ret)
{
	uint64_t sum;

	if (!size_add(value, alignment - 1, &sum))
		return false;
	*ret = sum & ~(alignment - 1);
	return true;
}

/* The digits at the start of `text`; NULL if there are none or they do not fit. */
static const char *read_digits(const char *text, uint64_t *ret)
{
	uint64_t value = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (!size_multiply(value, 10, &value) ||
			!size_add(value, (uint64_t)(*at - '0'), &value))
			return NULL;
	if (at == text)
		return NULL;
	*ret = value;
	return at;
}

int parse_number(const char *text, const char *what, uint64_t least, uint64_t most, uint64_t *ret,
	struct error *err)
{
	uint64_t value;
	const char *end = read_digits(text, &value);

	if (!end || *end || value < least || value > most)
		return error_set(err, STATUS_USAGE,
			"%s: '%s' is not a whole number from %llu to %llu", what, text,
			(unsigned long long)least, (unsigned long long)most);
	*ret = value;
	return STATUS_OK;
}

int parse_size(const char *text, const char *what, uint64_t *ret, struct error *err)
{
	static const char units[] = "KMGT";
	uint64_t value;
	const char *end = read_digits(text, &value), *unit;

	if (end && *end && (unit = strchr(units, *end & ~0x20))) {
		if (!size_multiply(value, 1ULL << (10 * (unit - units + 1)), &value))
			end = NULL;
		else if (!strcmp(end + 1, "iB") || !strcmp(end + 1, "B"))
			end = "";
		else
			end++;
	}
	if (!end || *end)
		return error_set(err, STATUS_USAGE,
			"%s: '%s' is not a size such as 4096, 64K, 512M or 2G", what, text);
	*ret = value;
	return STATUS_OK;
}

int parse_duration(const char *text, const char *what, uint64_t *ret_ns, struct error *err)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9},
		{"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
	char *end;
	double value = -1;

	if (*text >= '0' && *text <= '9') {
		value = strtod(text, &end);
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (!strcmp(end, units[i].name) && value * units[i].ns < 9e18) {
				*ret_ns = (uint64_t)(value * units[i].ns + 0.5);
				return STATUS_OK;
			}
	}
	return error_set(err, STATUS_USAGE,
		"%s: '%s' is not a duration such as 10, 0.5, 250ms or 2h", what, text);
}

/* Without the cost of printf: lists write them by the 100,000. */
const char *format_number(uint64_t number, char text[NUMBER_TEXT_SIZE])
{
	char digits[NUMBER_TEXT_SIZE];
	size_t count = 0;

	do
		digits[count++] = (char)('0' + number % 10);
	while (number /= 10);
	for (size_t i = 0; i < count; i++)
		text[i] = digits[count - 1 - i];
	text[count] = '\0';
	return text;
}

/* `value` in parts of a unit, rounded: at most UINT64_MAX / 16 is a unit. */
static uint64_t rounded(uint64_t value, uint64_t unit, unsigned parts)
{
	return value / unit * parts + (value % unit * parts + unit / 2) / unit;
}

/* Writes `value` in that unit, with or without tenths. */
static void format_in(uint64_t value, uint64_t unit, const char *name, bool with_tenths,
	char text[SIZE_TEXT_SIZE])
{
	uint64_t tenths = rounded(value, unit, 10);
	char number[NUMBER_TEXT_SIZE];
	size_t length;

	format_number(with_tenths ? tenths / 10 : rounded(value, unit, 1), number);
	length = strlen(number);
	memcpy(text, number, length);
	if (with_tenths) {
		text[length++] = '.';
		text[length++] = (char)('0' + tenths % 10);
	}
	strcpy(text + length, name);
}

const char *format_size(uint64_t bytes, char text[SIZE_TEXT_SIZE])
{
	static const char units[][2] = {"B", "K", "M", "G", "T", "P", "E"};
	const unsigned last = sizeof units / sizeof *units - 1;
	unsigned at = bytes >= 1024;
	uint64_t tenths;

	while (at && at < last && rounded(bytes, 1ULL << (10 * at), 10) >= 10240)
		at++;
	tenths = rounded(bytes, 1ULL << (10 * at), 10);
	/* A fraction is worth a digit only where it shows. */
	format_in(bytes, 1ULL << (10 * at), units[at], at && tenths < 1000 && tenths % 10, text);
	return text;
}

const char *format_duration(uint64_t ns, char text[SIZE_TEXT_SIZE])
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {{1, "ns"}, {NS_PER_US, "us"}, {NS_PER_MS, "ms"}, {NS_PER_SECOND, "s"},
		{60 * NS_PER_SECOND, "m"}, {3600 * NS_PER_SECOND, "h"},
		{86400 * NS_PER_SECOND, "d"}};
	size_t unit = sizeof units / sizeof *units - 1;
	bool with_tenths;

	while (unit && ns < units[unit].ns)
		unit--;
	with_tenths = unit && rounded(ns, units[unit].ns, 10) < 100;
	format_in(ns, units[unit].ns, units[unit].name, with_tenths, text);
	return text;
}
