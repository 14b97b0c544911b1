/* What fetch says of what it got, as JSON. */
#include "cli/fetch.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/print_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* JSON is UTF-8; what is not is escaped as everywhere. */
static json_t *json_text(const char *text)
{
	size_t length = strlen(text), size = 4 * length + 1;
	AUTO_FREE char *shown = NULL;

	if (text_is_plain(text, length))
		return json_string(text);
	shown = malloc(size);
	return shown ? json_string(text_escape(text, length, shown, size)) : NULL;
}

/* White, red, green and blue, in the order of the public header; null for none. */
static json_t *json_chromaticities(const struct shmsem_info *info)
{
	const int32_t *at = info->chromaticities;

	return fetch_has_chromaticities(info)
		       ? json_pack("{s:[ff], s:[ff], s:[ff], s:[ff]}", "white", at[0] / 1e5,
				 at[1] / 1e5, "red", at[2] / 1e5, at[3] / 1e5, "green", at[4] / 1e5,
				 at[5] / 1e5, "blue", at[6] / 1e5, at[7] / 1e5)
		       : json_null();
}

/* null where the file says nothing of it. */
static json_t *json_gamma(const struct shmsem_info *info)
{
	return info->gamma ? json_real(info->gamma / 1e5) : json_null();
}

static json_t *json_file(const struct shmsem_info *info)
{
	return json_pack("{s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o?, s:i, s:b}",
		"format", fetch_format_text(info->format), "bytes", (json_int_t)info->file_bytes,
		"width", (int)info->file_width, "height", (int)info->file_height, "channels",
		info->file_channels, "bits", info->file_bits, "orientation", info->orientation,
		"icc_bytes", (int)info->icc_bytes, "gamma", json_gamma(info), "chromaticities",
		json_chromaticities(info), "srgb", info->srgb ? json_integer(info->srgb - 1) : NULL,
		"comments", (int)info->comments, "animated", info->animated);
}

static json_t *json_store(const struct shmsem_info *info)
{
	return json_pack("{s:b, s:i, s:I, s:f, s:i}", "stored", info->from_store, "segment",
		(int)info->segment, "offset", (json_int_t)info->offset, "age",
		(double)info->age_ns / 1e9, "holders", (int)info->holders);
}

static json_t *json_result(const char *name, const struct fetch_result *result)
{
	const struct shmsem_info *info = &result->info;

	if (result->status)
		return json_pack("{s:o, s:i, s:o}", "name", json_text(name), "status",
			result->status, "error", json_text(result->message ? result->message : ""));
	return json_pack("{s:o, s:i, s:i, s:i, s:I, s:f, s:i, s:i, s:i, s:o, s:o, s:o?}", "name",
		json_text(name), "width", (int)info->width, "height", (int)info->height, "channels",
		info->channels, "bytes", (json_int_t)info->bytes, "time",
		(double)result->took / 1e9, "bits", info->bits, "stride", (int)info->stride,
		"scale", info->scale, "file", json_file(info), "store", json_store(info), "warning",
		*info->warning ? json_text(info->warning) : NULL);
}

int fetch_json_images(const struct fetch_work *work, struct error *err)
{
	json_t *images = json_array();

	for (size_t i = 0; i < work->draw->count; i++)
		if (json_array_append_new(
			    images, json_result(fetch_name_of(work, i), &work->results[i])) != 0) {
			json_decref(images);
			return error_os(err, ENOMEM, "cannot make JSON");
		}
	return print_json(json_pack("{s:o}", "images", images), err);
}

int fetch_json_names(const struct fetch_names *names, struct error *err)
{
	json_t *array = json_array();

	for (size_t i = 0; i < names->count; i++)
		if (json_array_append_new(array, json_text(names->names[i])) != 0) {
			json_decref(array);
			return error_os(err, ENOMEM, "cannot make JSON");
		}
	return print_json(array, err);
}
