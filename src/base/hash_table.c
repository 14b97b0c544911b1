#include "base/hash_table.h"

#include <stdlib.h>

#define SIZE_FIRST 256

void hash_table_release(struct hash_table *table)
{
	free(table->buckets);
	*table = (struct hash_table){0};
}

static void push(struct hash_table *table, struct hash_table_link *link)
{
	struct hash_table_link **bucket = table->size
						  ? &table->buckets[link->hash & (table->size - 1)]
						  : &table->only;

	link->next = *bucket;
	link->at = bucket;
	if (*bucket)
		(*bucket)->at = &link->next;
	*bucket = link;
}

/* Twice the buckets. */
static void widen(struct hash_table *table)
{
	size_t buckets = table->size ? table->size : 1;
	struct hash_table old = *table;

	table->size = old.size ? 2 * old.size : SIZE_FIRST;
	table->buckets = calloc(table->size, sizeof(struct hash_table_link *));
	if (!table->buckets) {
		*table = old;
		return;
	}
	table->only = NULL;
	for (size_t i = 0; i < buckets; i++)
		for (struct hash_table_link *at = old.size ? old.buckets[i] : old.only, *next; at;
			at = next) {
			next = at->next;
			push(table, at);
		}
	free(old.buckets);
}

void hash_table_add(struct hash_table *table, struct hash_table_link *link, uint64_t hash)
{
	if (table->count >= table->size)
		widen(table);
	link->hash = hash;
	push(table, link);
	table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_table_link *link)
{
	*link->at = link->next;
	if (link->next)
		link->next->at = link->at;
	table->count--;
}
