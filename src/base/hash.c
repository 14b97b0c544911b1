#include "base/hash.h"

#include "base/clock.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t word, unsigned bits)
{
	return word << bits | word >> (64 - bits);
}

static void mix(uint64_t v[4], unsigned rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static void take_in(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	mix(v, 2);
	v[0] ^= word;
}

static uint64_t hash(
	const uint64_t key[2], const uint64_t *words, size_t count, const void *bytes, size_t size)
{
	uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d), key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573)};
	const uint8_t *at = bytes;
	uint64_t word;

	for (size_t i = 0; i < count; i++)
		take_in(v, le64toh(words[i]));
	for (size_t left = size / sizeof word; left-- > 0; at += sizeof word) {
		memcpy(&word, at, sizeof word);
		take_in(v, le64toh(word));
	}
	word = 0;
	memcpy(&word, at, size % sizeof word);
	take_in(v, le64toh(word) | (uint64_t)(count * sizeof word + size) << 56);
	v[2] ^= 0xff;
	mix(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_with_key(const uint64_t key[2], const void *bytes, size_t size)
{
	return hash(key, NULL, 0, bytes, size);
}

static uint64_t own_key[2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw_key(void)
{
	/* Without random numbers tables may become slow, and stay right. */
	if (getrandom(own_key, sizeof own_key, GRND_NONBLOCK) < 0)
		own_key[0] = clock_now();
}

uint64_t hash_keyed(const void *bytes, size_t size)
{
	return hash_keyed_after(NULL, 0, bytes, size);
}

uint64_t hash_keyed_after(const uint64_t *words, size_t count, const void *bytes, size_t size)
{
	pthread_once(&once, draw_key);
	return hash(own_key, words, count, bytes, size);
}
