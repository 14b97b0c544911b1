/*
 * SipHash-2-4 (Aumasson, Bernstein): a hash of which nobody who does not know the key can find
 * values that collide. For tables of names and files that others choose.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t hash_with_key(const uint64_t key[2], const void *bytes, size_t size);

/* With a key that this process has drawn at random. */
uint64_t hash_keyed(const void *bytes, size_t size);

/* The same of so many words, and of bytes that follow them. */
uint64_t hash_keyed_after(const uint64_t *words, size_t count, const void *bytes, size_t size);
