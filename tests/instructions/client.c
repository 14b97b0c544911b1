/*
 * client NS NAME COUNT -- fetches an image so often, and gives it back each time. It fails if the
 * server had to be asked more than once for it: then something else was counted.
 */
#include "client/client.h"
#include "shmsem.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t found_by_itself(const struct shmsem *client)
{
	return atomic_load(&client->connection->counters->index_hits);
}

int main(int argc, char **argv)
{
	const struct shmsem_connect_options options = {
		.name_space = argv[1], .wait_ns = 60 * NS_PER_SECOND};
	const struct shmsem_request request = {.name = argc == 4 ? argv[2] : NULL};
	unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	struct shmsem_error error;
	struct shmsem_image image;
	struct shmsem *client;
	uint64_t found;

	if (!count || shmsem_connect(&client, &options, &error)) {
		fprintf(stderr, "%s\n", count ? error.message : "client NS NAME COUNT");
		return 1;
	}
	for (unsigned long i = 0; i < count; i++) {
		if (shmsem_fetch(client, &request, &image, &error)) {
			fprintf(stderr, "%s\n", error.message);
			return 1;
		}
		shmsem_release(&image);
	}
	found = found_by_itself(client);
	shmsem_close(client);
	if (found + 1 < count)
		fprintf(stderr, "%lu of %lu found without the server\n", (unsigned long)found,
			count);
	return found + 1 < count;
}
