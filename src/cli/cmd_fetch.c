/* shmsem fetch: images by name, through libshmsem and its public header alone. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/number.h"
#include "shmsem.h"

#include <stdio.h>

struct fetch_options {
	const char *name_space;
	uint64_t timeout, wait, count;
};
static const struct option_row rows[] = {
	{'N', "namespace", "NS", "name of the exchange (default: $SHMSEM_NAMESPACE, else shmsem)",
		OPTION_TEXT, offsetof(struct fetch_options, name_space), 0, 0, NULL},
	{'c', "count", "N", "ask N times", OPTION_NUMBER, offsetof(struct fetch_options, count), 1,
		0, NULL},
	{0}};

static int each(void *data, const char *name)
{
	(void)data;
	printf("  %s\n", name);
	return 0;
}

static int run(const void *given, int argc, char **argv, struct error *err)
{
	const struct fetch_options *options = given;
	struct shmsem_error error;
	struct shmsem *client;
	uint64_t count = options->count ? options->count : 1;

	if (shmsem_connect(&client,
		    &(struct shmsem_connect_options){.name_space = options->name_space}, &error))
		return error_set(err, error.status, "%s", error.message);
	if (argc == 0)
		shmsem_names(client, each, NULL, &error);
	for (uint64_t n = 0; n < 5; n++) {
		uint64_t begin = clock_now(), took;
		for (uint64_t j = 0; j < count; j++)
			if (shmsem_ping(client, &error))
				return error_set(err, error.status, "%s", error.message);
		took = clock_now() - begin;
		printf("ping %llu ns\n", (unsigned long long)(took / count));
	}
	for (int i = 0; i < argc; i++)
		for (int n = 0; n < 5; n++) {
			struct shmsem_image image;
			uint64_t begin = clock_now(), took;
			int status = 0;
			for (uint64_t j = 0; j < count; j++) {
				status = shmsem_fetch(client,
					&(struct shmsem_request){.name = argv[i]}, &image, &error);
				if (status)
					break;
				if (j + 1 < count)
					shmsem_release(&image);
			}
			took = clock_now() - begin;
			if (status) {
				printf("%s: %d %s\n", argv[i], status, error.message);
				continue;
			}
			printf("%s %ux%ux%u %llu bytes %llu ns%s\n", argv[i], image.info.width,
				image.info.height, image.info.channels,
				(unsigned long long)image.info.bytes,
				(unsigned long long)(took / count),
				image.info.from_store ? " store" : "");
			shmsem_release(&image);
		}
	shmsem_close(client);
	return 0;
}
const struct command command_fetch = {.name = "fetch",
	.summary = "get images by name",
	.synopsis = "NAME",
	.options = rows,
	.options_size = sizeof(struct fetch_options),
	.run = run};
