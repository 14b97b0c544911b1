#include "image/jpeg_calls.h"

#include "base/number.h"
#include "base/text.h"
#include "image/exif.h"

#include <jerror.h>
#include <string.h>

static void give_up(struct jpeg_codec *codec)
{
	longjmp(codec->jump, 1);
}

static const char *library_says(j_common_ptr jpeg, char *text, size_t size)
{
	char raw[JMSG_LENGTH_MAX];

	jpeg->err->format_message(jpeg, raw);
	return text_escape(raw, strlen(raw), text, size);
}

static void on_error(j_common_ptr jpeg)
{
	struct jpeg_codec *codec = jpeg->client_data;
	struct error *error = &codec->error;
	char text[JMSG_LENGTH_MAX], limit[SIZE_TEXT_SIZE];

	library_says(jpeg, text, sizeof text);
	switch (jpeg->err->msg_code) {
	case JERR_BAD_PRECISION:
		error_set(error, STATUS_BAD_DATA,
			"only JPEG of 8 bits a sample can be decoded here: %s", text);
		break;
	case JERR_SOF_UNSUPPORTED:
		error_set(error, STATUS_BAD_DATA,
			"lossless and hierarchical JPEG cannot be decoded here: %s", text);
		break;
#if JPEG_LIB_VERSION < 70 /* later ones can */
	case JERR_ARITH_NOTIMPL:
		error_set(error, STATUS_BAD_DATA,
			"arithmetic-coded JPEG cannot be decoded here: %s", text);
		break;
#endif
	case JERR_NO_BACKING_STORE:
		error_set(error, STATUS_BAD_DATA, "decoding needs more than the memory limit of %s",
			format_size(codec->reader->limits.memory, limit));
		break;
	case JERR_OUT_OF_MEMORY:
		error_set(error, STATUS_TRY_AGAIN, "out of memory: %s", text);
		break;
	default:
		error_set(error, STATUS_BAD_DATA, "broken JPEG: %s", text);
		codec->broken = true;
	}
	give_up(codec);
}

/* Whether pixels are missing or wrong after this warning, rather than that something was odd. */
static bool is_damage(int code)
{
	switch (code) {
	case JWRN_ARITH_BAD_CODE:
	case JWRN_HIT_MARKER:
	case JWRN_HUFF_BAD_CODE:
	case JWRN_JPEG_EOF:
	case JWRN_MUST_RESYNC:
	case JWRN_NOT_SEQUENTIAL:
		return true;
	default:
		return false;
	}
}

static void on_message(j_common_ptr jpeg, int level)
{
	struct jpeg_codec *codec = jpeg->client_data;
	char text[JMSG_LENGTH_MAX];

	if (level >= 0)
		return;
	if (codec->reader->options.flags & IMAGE_STRICT && is_damage(jpeg->err->msg_code))
		on_error(jpeg);
	if (jpeg->err->num_warnings++ == 0) {
		jpeg->err->format_message(jpeg, text);
		reader_warn(codec->reader, text);
	}
}

/* Called for every row of blocks, also while the scans of a progressive image are gathered. */
static void on_progress(j_common_ptr jpeg)
{
	struct jpeg_codec *codec = jpeg->client_data;
	uint32_t most = codec->reader->limits.scans;

	if (!most || codec->jpeg.input_scan_number <= (int64_t)most)
		return;
	error_set(&codec->error, STATUS_BAD_DATA,
		"more scans than the limit of %u (serve --max-scans)", most);
	give_up(codec);
}

/*
 * Looks at an APP1, APP2 or COM marker in place. libjpeg's own way would keep a copy of each:
 * many small ones would fill the memory.
 */
static boolean on_marker(j_decompress_ptr jpeg)
{
	struct jpeg_codec *codec = jpeg->client_data;
	struct jpeg_source_mgr *source = jpeg->src;
	const uint8_t *data = source->next_input_byte;
	uint32_t most = codec->reader->limits.chunks;
	size_t size;

	if (source->bytes_in_buffer < 2)
		ERREXIT(jpeg, JERR_INPUT_EOF);
	size = (size_t)data[0] << 8 | data[1];
	if (size < 2) /* as libjpeg does by itself, for what it skips */
		size = 2;
	if (most && ++codec->markers > most) {
		error_set(&codec->error, STATUS_BAD_DATA,
			"more markers than the limit of %u (serve --max-chunks)", most);
		give_up(codec);
	}
	if (size <= source->bytes_in_buffer && !codec->described) {
		struct image_info *info = &codec->reader->info;

		if (jpeg->unread_marker == JPEG_COM)
			info->comments++;
		else if (jpeg->unread_marker == JPEG_APP0 + 2)
			profile_pieces_add(&codec->pieces, data + 2, size - 2);
		else if (!info->orientation && size >= 8 && memcmp(data + 2, "Exif\0", 6) == 0)
			info->orientation = (uint8_t)exif_orientation(data + 8, size - 8);
	}
	source->skip_input_data(jpeg, (long)size);
	return TRUE;
}

void jpeg_calls_set_errors(struct jpeg_codec *codec)
{
	codec->jpeg.err = jpeg_std_error(&codec->manager);
	codec->jpeg.client_data = codec;
	codec->manager.error_exit = on_error;
	codec->manager.emit_message = on_message;
	codec->progress.progress_monitor = on_progress;
}

void jpeg_calls_set_markers(struct jpeg_codec *codec)
{
	codec->jpeg.progress = &codec->progress;
	jpeg_set_marker_processor(&codec->jpeg, JPEG_APP0 + 1, on_marker);
	jpeg_set_marker_processor(&codec->jpeg, JPEG_APP0 + 2, on_marker);
	jpeg_set_marker_processor(&codec->jpeg, JPEG_COM, on_marker);
}
