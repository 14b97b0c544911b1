/*
 * What a look-up in the index is measured beside: the same table in memory of our own, which nobody
 * else reads or changes. The same hash, the same comparison, the answer copied, and from it the same
 * struct filled; but nothing is held and nothing is checked.
 */
#pragma once

#include "base/error.h"
#include "exchange/index.h"
#include "shmsem.h"

struct private_table {
	struct index index; /* for its hash */
	uint64_t options_hash;
	struct index_key key; /* of what was looked up last */
	struct wire_entry *entries;
	struct shmsem_image image; /* what was found last */
};

/* A table of so many entries, a power of two and more than there will be names. */
int private_table_init(struct private_table *table, uint64_t entries, struct error *err);

/* Safe on a table of zeros. */
void private_table_release(struct private_table *table);

#define AUTO_PRIVATE_TABLE __attribute__((cleanup(private_table_release)))

/* Puts a name in. */
void private_table_put(struct private_table *table, const char *name);

/* Looks a name up that was put in. */
void private_table_get(struct private_table *table, const char *name);
