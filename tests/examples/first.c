/* The least there is: one image, and where it lies. */
#include <shmsem.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct shmsem *client;
	struct shmsem_image image;
	struct shmsem_error error;

	if (shmsem_connect(&client, NULL, &error) ||
		shmsem_fetch(
			client, &(struct shmsem_request){.name = argv[argc - 1]}, &image, &error))
		return fprintf(stderr, "%s\n", error.message), error.status;
	printf("%u×%u×%u\n", image.info.width, image.info.height, image.info.channels);
	shmsem_release(&image);
	shmsem_close(client);
	return 0;
}
