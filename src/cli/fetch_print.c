/* What fetch says of what it got: rows, paragraphs, and the sum of it. */
#include "cli/fetch.h"

#include "base/cleanup.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NAMES_SHOWN 20

enum column {
	COLUMN_NAME,
	COLUMN_WIDTH,
	COLUMN_HEIGHT,
	COLUMN_CHANNELS,
	COLUMN_BYTES,
	COLUMN_TIME,
	COLUMNS,
};

static const struct table_column columns[COLUMNS + 1] = {
	[COLUMN_NAME] = {"NAME", TABLE_TEXT, "as it was asked for"},
	[COLUMN_WIDTH] = {"WIDTH", TABLE_NUMBER, "pixels"},
	[COLUMN_HEIGHT] = {"HEIGHT", TABLE_NUMBER, "pixels"},
	[COLUMN_CHANNELS] = {"CHANNELS", TABLE_NUMBER, "samples a pixel"},
	[COLUMN_BYTES] = {"BYTES", TABLE_NUMBER, "of pixels"},
	[COLUMN_TIME] = {"TIME", TABLE_NUMBER, "from the question to the pixels"},
	{0},
};

static int put_number(struct table *table, size_t at, uint64_t number, struct error *err)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	return table_put(table, at, text, err);
}

static int put_row(
	struct table *table, const char *name, const struct fetch_result *result, struct error *err)
{
	const struct shmsem_info *info = &result->info;
	const uint64_t numbers[] = {
		[COLUMN_WIDTH] = info->width,
		[COLUMN_HEIGHT] = info->height,
		[COLUMN_CHANNELS] = info->channels,
		[COLUMN_BYTES] = info->bytes,
	};
	char time[SIZE_TEXT_SIZE];
	int status = table_add_line(table, err);

	if (status)
		return status;
	status = table_put(table, COLUMN_NAME, name, err);
	for (size_t at = COLUMN_WIDTH; at <= COLUMN_BYTES && !status; at++)
		status = put_number(table, at, numbers[at], err);
	if (status)
		return status;
	return table_put(table, COLUMN_TIME, format_duration(result->took, time), err);
}

const char *fetch_name_of(const struct fetch_work *work, size_t at)
{
	return work->names->names[work->draw->wanted[at]];
}

bool fetch_has_chromaticities(const struct shmsem_info *info)
{
	static const int32_t none[8];

	return memcmp(info->chromaticities, none, sizeof none) != 0;
}

const char *fetch_format_text(unsigned format)
{
	return format == SHMSEM_PNG ? "png" : format == SHMSEM_JPEG ? "jpeg" : "unknown";
}

int fetch_print_rows(const struct fetch_work *work, struct error *err)
{
	const struct table_style style = {0};
	struct table_selection selection;
	AUTO_TABLE struct table table = TABLE_NONE;
	size_t rows = 0;
	int status = table_select(
		NULL, "NAME,WIDTH,HEIGHT,CHANNELS,BYTES,TIME", columns, &selection, err);

	if (status)
		return status;
	status = table_init(&table, "images", columns, &selection, &style, err);
	for (size_t i = 0; i < work->draw->count && !status; i++) {
		if (work->results[i].status)
			continue;
		status = put_row(&table, fetch_name_of(work, i), &work->results[i], err);
		rows++;
	}
	return status || !rows ? status : table_print(&table, err);
}

void fetch_print_names(const struct fetch_names *names)
{
	char shown[4 * 1024 + 1];

	for (size_t i = 0; i < names->count; i++)
		puts(text_escape(names->names[i], strlen(names->names[i]), shown, sizeof shown));
}

static void print_chromaticities(const int32_t at[8])
{
	static const char *const points[] = {"white", "red", "green", "blue"};

	printf("  primaries   ");
	for (int i = 0; i < 4; i++)
		printf("%s %s %.5f %.5f", i ? "," : "", points[i], at[2 * i] / 1e5,
			at[2 * i + 1] / 1e5);
	putchar('\n');
}

/* The rendering intents of an sRGB chunk. */
static const char *intent_text(unsigned intent)
{
	static const char *const texts[] = {
		"perceptual", "relative colorimetric", "saturation", "absolute colorimetric"};

	return intent < sizeof texts / sizeof *texts ? texts[intent] : "unknown";
}

static void print_info(const char *name, const struct shmsem_info *info)
{
	static const char *const turns[] = {"not said", "1, upright", "2, mirrored",
		"3, upside down", "4, upside down and mirrored", "5, mirrored and turned right",
		"6, turned left", "7, mirrored and turned left", "8, turned right"};
	char shown[256], text[SIZE_TEXT_SIZE], warning[4 * sizeof info->warning];

	printf("%s\n", text_escape(name, strlen(name), shown, sizeof shown));
	printf("  geometry     %" PRIu32 "x%" PRIu32 ", %u channel%s of %u bits, %" PRIu64
	       " bytes\n",
		info->width, info->height, info->channels, info->channels == 1 ? "" : "s",
		info->bits, info->bytes);
	if (info->scale > 1)
		printf("  scale        1/%u\n", info->scale);
	printf("  file         %s, %" PRIu32 "x%" PRIu32 ", %u channel%s of %u bits, %s\n",
		fetch_format_text(info->format), info->file_width, info->file_height,
		info->file_channels, info->file_channels == 1 ? "" : "s", info->file_bits,
		format_size(info->file_bytes, text));
	if (info->animated)
		printf("  animated     the default image is delivered\n");
	printf("  orientation  %s\n", turns[info->orientation <= 8 ? info->orientation : 0]);
	if (info->icc_bytes)
		printf("  profile      ICC, %" PRIu32 " bytes\n", info->icc_bytes);
	else
		printf("  profile      none\n");
	if (info->gamma)
		printf("  gamma        %.5f\n", info->gamma / 1e5);
	if (fetch_has_chromaticities(info))
		print_chromaticities(info->chromaticities);
	if (info->srgb)
		printf("  sRGB         %s\n", intent_text(info->srgb - 1U));
	if (info->comments)
		printf("  comments     %" PRIu32 "\n", info->comments);
	if (info->from_store)
		printf("  store        segment %" PRIu32 " at byte %" PRIu64
		       ", decoded %s ago, held by %" PRIu32 "\n",
			info->segment, info->offset, format_duration(info->age_ns, text),
			info->holders);
	else
		printf("  store        not decoded yet\n");
	if (*info->warning)
		printf("  warning      %s\n",
			text_escape(info->warning, strlen(info->warning), warning, sizeof warning));
}

void fetch_print_info(const struct fetch_work *work)
{
	for (size_t i = 0; i < work->draw->count; i++)
		if (!work->results[i].status)
			print_info(fetch_name_of(work, i), &work->results[i].info);
}

/* The names of what failed, each once. */
static void list_failed(const struct fetch_work *work)
{
	AUTO_FREE bool *seen = calloc(work->names->count, sizeof *seen);
	size_t shown = 0;
	char text[256];

	for (size_t i = 0; seen && i < work->draw->count; i++) {
		const char *name = fetch_name_of(work, i);

		if (!work->results[i].status || seen[work->draw->wanted[i]])
			continue;
		seen[work->draw->wanted[i]] = true;
		if (shown++ < NAMES_SHOWN)
			fprintf(stderr, "%s%s", shown == 1 ? ": " : ", ",
				text_escape(name, strlen(name), text, sizeof text));
	}
	if (shown > NAMES_SHOWN)
		fprintf(stderr, " and %zu more", shown - NAMES_SHOWN);
}

int fetch_summary(const struct fetch_work *work)
{
	size_t failed = 0, count = work->draw->count;
	int status = STATUS_OK;

	if (work->stop)
		return STATUS_OK;
	for (size_t i = 0; i < count; i++) {
		int one = work->results[i].status;

		failed += one != STATUS_OK;
		status = !i || status == one ? one : STATUS_PARTLY;
	}
	if (failed && count > 1) {
		fprintf(stderr, FETCH_COMMAND ": %zu of %zu failed", failed, count);
		list_failed(work);
		fputc('\n', stderr);
	}
	return status;
}
