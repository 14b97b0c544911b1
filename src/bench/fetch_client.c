#include "bench/fetch_client.h"

#include "bench/served.h"

#include <stdio.h>
#include <string.h>

int fetch_client_init(struct fetch_client *client, const struct served *served, const char *name,
	bool fresh, struct error *err)
{
	*client = (struct fetch_client){.served = served, .fresh = fresh};
	snprintf(client->name, sizeof client->name, "%s", name);
	return served_connect(served, &client->client, err);
}

void fetch_client_release(struct fetch_client *client)
{
	shmsem_close(client->client);
	*client = (struct fetch_client){0};
}

static int fetch_once(struct fetch_client *client, struct error *err)
{
	const struct shmsem_request request = {
		.name = client->name, .flags = SHMSEM_KEEP_ORIENTATION};
	struct shmsem_error error;
	struct shmsem_image image;
	bool stored;

	if (shmsem_fetch(client->client, &request, &image, &error))
		return served_error(&error, err);
	stored = image.info.from_store;
	shmsem_release(&image);
	if (stored == client->fresh)
		return error_set(err, STATUS_INTERNAL, "'%s' was %s", client->name,
			stored ? "not decoded anew" : "not in the store");
	return STATUS_OK;
}

static int run_fetch(void *context, uint64_t operations, struct error *err)
{
	for (uint64_t i = 0; i < operations; i++) {
		int status = fetch_once(context, err);

		if (status)
			return status;
	}
	return STATUS_OK;
}

static int touch_before(void *context, struct error *err)
{
	const struct fetch_client *client = context;

	return served_touch(client->served, client->name, err);
}

struct bench_subject fetch_subject(struct fetch_client *client, const char *name)
{
	return (struct bench_subject){.name = name,
		.context = client,
		.run = run_fetch,
		.before = client->fresh ? touch_before : NULL};
}

static int run_ping(void *context, uint64_t operations, struct error *err)
{
	struct fetch_client *client = context;
	struct shmsem_error error;

	for (uint64_t i = 0; i < operations; i++)
		if (shmsem_ping(client->client, &error))
			return served_error(&error, err);
	return STATUS_OK;
}

struct bench_subject ping_subject(struct fetch_client *client)
{
	return (struct bench_subject){.name = "empty request", .context = client, .run = run_ping};
}

int fetch_check_pixels(struct fetch_client *client, const struct decode_job *job, struct error *err)
{
	const struct shmsem_request request = {
		.name = client->name, .flags = SHMSEM_KEEP_ORIENTATION};
	struct bench_subject subject = decode_subject(&(struct decode_job){0});
	struct decode_job here = decode_job_borrow(job, DECODE_SHMSEM);
	struct shmsem_error error;
	struct shmsem_image image;
	int status = subject.run(&here, 1, err);
	bool same;

	if (status)
		return status;
	if (shmsem_fetch(client->client, &request, &image, &error))
		return served_error(&error, err);
	same = image.info.bytes == here.info.bytes &&
	       !memcmp(image.pixels, here.pixels, (size_t)here.info.bytes);
	shmsem_release(&image);
	return same ? STATUS_OK
		    : error_set(err, STATUS_BAD_DATA, "'%s' came with the wrong pixels",
			      client->name);
}
