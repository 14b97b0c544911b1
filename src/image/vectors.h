/*
 * The compiler's vectors of 16 bytes, whatever the processor makes of them.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define VECTOR_INLINE static inline __attribute__((always_inline))

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

/* Lanes of both, those of `b` counted on. Zips and what keeps halves or quarters together are one
 * or two instructions anywhere, others may be many. */
#if defined(__clang__)
#define VECTOR_SHUFFLE(kind, a, b, ...) __builtin_shufflevector((kind)(a), (kind)(b), __VA_ARGS__)
#else
#define VECTOR_SHUFFLE(kind, a, b, ...) __builtin_shuffle((kind)(a), (kind)(b), (kind){__VA_ARGS__})
#endif

VECTOR_INLINE u8x16 vector_load(const void *from)
{
	u8x16 bytes;

	memcpy(&bytes, from, sizeof bytes);
	return bytes;
}

VECTOR_INLINE void vector_store(void *to, u8x16 bytes)
{
	memcpy(to, &bytes, sizeof bytes);
}

/* The first bytes of both, in turn; the second half. */
VECTOR_INLINE u8x16 zip_first8(u8x16 a, u8x16 b)
{
	return VECTOR_SHUFFLE(u8x16, a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

VECTOR_INLINE u8x16 zip_second8(u8x16 a, u8x16 b)
{
	return VECTOR_SHUFFLE(
		u8x16, a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/* The same of samples of 16 bits. */
VECTOR_INLINE u8x16 zip_first16(u8x16 a, u8x16 b)
{
	return (u8x16)VECTOR_SHUFFLE(u16x8, a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

VECTOR_INLINE u8x16 zip_second16(u8x16 a, u8x16 b)
{
	return (u8x16)VECTOR_SHUFFLE(u16x8, a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
