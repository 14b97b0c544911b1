/*
 * How an answer describes an image: the one place that knows which geometry is possible, and what
 * is told of an image beside its pixels.
 *
 * What is known of an image is in struct image_info where it was decoded, in struct shmsem_info for
 * programs, in struct wire_answer between them. The macros copy what these have in common, under
 * the same names.
 */
#pragma once

#include "exchange/wire.h"

#define IMAGE_ANSWER_COPY_FIELD(to, from, field)                                  \
	do {                                                                      \
		_Static_assert(sizeof(to)->field == sizeof(from)->field, #field); \
		memcpy(&(to)->field, &(from)->field, sizeof(to)->field);          \
	} while (0)

/* From the one field to the other, which all of these structs have in the same order. */
#define IMAGE_ANSWER_SPAN(of, first, last) \
	(offsetof(__typeof__(*(of)), last) + sizeof(of)->last - offsetof(__typeof__(*(of)), first))
#define IMAGE_ANSWER_COPY_FIELDS(to, from, first, last)                              \
	do {                                                                         \
		_Static_assert(IMAGE_ANSWER_SPAN(to, first, last) ==                 \
				       IMAGE_ANSWER_SPAN(from, first, last),         \
			"from " #first " to " #last);                                \
		memcpy((char *)(to) + offsetof(__typeof__(*(to)), first),            \
			(const char *)(from) + offsetof(__typeof__(*(from)), first), \
			IMAGE_ANSWER_SPAN(to, first, last));                         \
	} while (0)

/* Copies what is told of an image from one of these structs to another. */
#define IMAGE_ANSWER_COPY(to, from)                                          \
	do {                                                                 \
		IMAGE_ANSWER_COPY_FIELDS(to, from, bits, file_channels);     \
		IMAGE_ANSWER_COPY_FIELDS(to, from, file_width, file_height); \
		IMAGE_ANSWER_COPY_FIELD(to, from, icc_bytes);                \
		IMAGE_ANSWER_COPY_FIELD(to, from, gamma);                    \
		IMAGE_ANSWER_COPY_FIELD(to, from, comments);                 \
		IMAGE_ANSWER_COPY_FIELD(to, from, srgb);                     \
		IMAGE_ANSWER_COPY_FIELD(to, from, chromaticities);           \
	} while (0)

/* Describes the image of `info`, a struct image_info or struct shmsem_info, in an answer and its
 * classic words; `warning` is the codec's, or empty. Where the image lies is left to the caller. */
#define IMAGE_ANSWER_DESCRIBE(answer, words, info, warning)                    \
	do {                                                                   \
		*(answer) = (struct wire_answer){0};                           \
		IMAGE_ANSWER_COPY(answer, info);                               \
		(answer)->flags = ((warning)[0] ? WIRE_WARNING : 0) |          \
				  ((info)->animated ? WIRE_ANIMATED : 0) |     \
				  ((info)->cmyk ? WIRE_CMYK : 0);              \
		(answer)->stride = (uint32_t)((info)->bytes / (info)->height); \
		(words)[0] = (info)->bytes;                                    \
		(words)[1] = (info)->width;                                    \
		(words)[2] = (info)->height;                                   \
		(words)[3] = (info)->channels;                                 \
	} while (0)

/*
 * Whether an image of that size is possible; then *ret_stride is how many bytes a row has, and
 * *ret_bytes how many all rows have. For numbers from anywhere: nothing wraps around.
 */
static inline bool image_answer_geometry(uint64_t width, uint64_t height, uint64_t channels,
	unsigned bits, uint32_t *ret_stride, uint64_t *ret_bytes)
{
	uint64_t stride, bytes;

	/* INT32_MAX has all bits below its highest one: either of the two is above it, or neither. */
	if ((width | height) > INT32_MAX || channels > 4 || (bits != 8 && bits != 16))
		return false;
	stride = width * channels * (bits / 8);
	bytes = stride * height;
	if (stride > UINT32_MAX || !bytes)
		return false;
	*ret_stride = (uint32_t)stride;
	*ret_bytes = bytes;
	return true;
}
