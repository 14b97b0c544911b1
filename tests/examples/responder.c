/* A program that hands out what it makes itself: grey ramps of 256×N, asked for by their height. */
#include <shmsem.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct shmsem_server *server;

static int make(void *data, const struct shmsem_request *request, struct shmsem_answer *answer,
	struct shmsem_error *error)
{
	struct shmsem_info info = {
		.width = 256, .height = (uint32_t)atoi(request->name), .channels = 1};
	void *pixels;
	int status;

	(void)data;
	if (info.height < 1 || info.height > 4096)
		return shmsem_fail(error, SHMSEM_NOT_FOUND, "ask for 1 to 4096");
	status = shmsem_place(answer, &info, &pixels, NULL, error);
	for (uint32_t i = 0; !status && pixels && i < info.width * info.height; i++)
		((unsigned char *)pixels)[i] = (unsigned char)i;
	return status;
}

static int names(void *data, struct shmsem_answer *answer, struct shmsem_error *error)
{
	(void)data;
	return shmsem_add_name(answer, "16", error) || shmsem_add_name(answer, "256", error);
}

static void on_signal(int number)
{
	(void)number;
	shmsem_server_stop(server);
}

int main(void)
{
	struct shmsem_serve_options options = {.make = make, .names = names};
	struct shmsem_error error;

	if (shmsem_serve(&server, &options, &error))
		return fprintf(stderr, "%s\n", error.message), error.status;
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (shmsem_server_run(server, UINT64_MAX, &error))
		fprintf(stderr, "%s\n", error.message);
	shmsem_server_close(server);
	return 0;
}
