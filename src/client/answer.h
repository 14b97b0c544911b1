/* What a server's answer says of an image, for programs. */
#pragma once

#include "base/error.h"
#include "exchange/image_answer.h"
#include "shmsem.h"

/* Believes an answer only as far as it fits: bytes = height x width x channels x bits / 8. */
static inline int answer_check(
	const struct wire_answer *answer, const uint64_t words[4], struct error *err)
{
	uint64_t bytes;
	uint32_t stride;

	if (!image_answer_geometry(words[1], words[2], words[3], answer->bits, &stride, &bytes) ||
		bytes != words[0] || answer->stride != stride)
		return error_set(err, STATUS_BAD_DATA,
			"the server's answer does not fit together: %llu bytes for %llu×%llu×%llu",
			(unsigned long long)words[0], (unsigned long long)words[1],
			(unsigned long long)words[2], (unsigned long long)words[3]);
	return STATUS_OK;
}

/* From an answer that was checked. */
__attribute__((always_inline)) static inline void answer_info(struct shmsem_info *ret,
	const struct wire_answer *answer, const uint64_t words[4], const char *text)
{
	/* Not all of it: most of the space is for a warning that few images have. */
	ret->bytes = words[0];
	ret->width = (uint32_t)words[1];
	ret->height = (uint32_t)words[2];
	ret->stride = answer->stride;
	ret->channels = (uint8_t)words[3];
	IMAGE_ANSWER_COPY(ret, answer);
	ret->from_store = !!(answer->flags & WIRE_FROM_STORE);
	ret->holders = answer->holders;
	ret->segment = answer->segment;
	ret->offset = answer->offset;
	ret->age_ns = answer->age;
	ret->file_bytes = answer->file_bytes;
	ret->animated = !!(answer->flags & WIRE_ANIMATED);
	ret->cmyk = !!(answer->flags & WIRE_CMYK);
	ret->reserved = 0;
	ret->warning[0] = '\0';
	if (answer->flags & WIRE_WARNING) {
		size_t length = strnlen(text, sizeof ret->warning - 1);

		memcpy(ret->warning, text, length);
		ret->warning[length] = '\0';
	}
}
