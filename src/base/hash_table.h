/*
 * A hash table of items that are linked into it by a member of theirs. It grows with what is in it;
 * without memory for that it becomes slow, and stays right. Zeros are an empty one, which must not
 * be moved once something was added.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Of an item: a member. */
struct hash_table_link {
	struct hash_table_link *next, **at; /* in its bucket; what points to this one */
	uint64_t hash;
};

struct hash_table {
	struct hash_table_link **buckets, *only; /* NULL: there is but one */
	size_t size, count;                      /* buckets, 0 or a power of two; items */
};

/* The item that has the link as that member. */
#define HASH_TABLE_ITEM(link, type, member) \
	((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Frees what the table has itself: the items are the caller's. */
void hash_table_release(struct hash_table *table);

/* Adds an item; others may have the same hash. */
void hash_table_add(struct hash_table *table, struct hash_table_link *link, uint64_t hash);
void hash_table_remove(struct hash_table *table, struct hash_table_link *link);

static inline struct hash_table_link *hash_table_from(struct hash_table_link *link, uint64_t hash)
{
	while (link && link->hash != hash)
		link = link->next;
	return link;
}

/* The items that have the hash, in no order: the first, and the one after it; NULL at the end. */
static inline struct hash_table_link *hash_table_first(
	const struct hash_table *table, uint64_t hash)
{
	return hash_table_from(
		table->size ? table->buckets[hash & (table->size - 1)] : table->only, hash);
}

static inline struct hash_table_link *hash_table_next(const struct hash_table_link *link)
{
	return hash_table_from(link->next, link->hash);
}
