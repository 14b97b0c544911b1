#include "base/number.h"

#include <errno.h>
#include <stdio.h>
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

const char *format_size(uint64_t bytes, char text[SIZE_TEXT_SIZE])
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes, fraction;
	size_t unit = 0;

	for (; value >= 1023.95 && unit + 2 < sizeof units; unit++)
		value /= 1024;
	/* A fraction is worth a digit only where it shows. */
	fraction = value - (double)(uint64_t)value;
	if (unit && value < 99.95 && fraction >= 0.05 && fraction < 0.95)
		snprintf(text, SIZE_TEXT_SIZE, "%.1f%c", value, units[unit]);
	else
		snprintf(text, SIZE_TEXT_SIZE, "%.0f%c", value, units[unit]);
	return text;
}

const char *format_duration(uint64_t ns, char text[SIZE_TEXT_SIZE])
{
	static const struct {
		double ns;
		const char *name;
	} units[] = {{1, "ns"}, {1e3, "us"}, {1e6, "ms"}, {1e9, "s"}, {60e9, "m"}, {3600e9, "h"},
		{86400e9, "d"}};
	double value = (double)ns;
	size_t unit = sizeof units / sizeof *units - 1;

	while (unit && value < units[unit].ns)
		unit--;
	value /= units[unit].ns;
	snprintf(text, SIZE_TEXT_SIZE, value < 9.95 && unit ? "%.1f%s" : "%.0f%s", value,
		units[unit].name);
	return text;
}
