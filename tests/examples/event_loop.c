/* Images in an event loop: nothing here waits but poll(). */
#include <poll.h>
#include <shmsem.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct shmsem_queue *queue;
	struct shmsem_result result;
	struct shmsem_error error;
	int left = argc - 1, failed = 0;

	if (shmsem_queue_open(&queue, NULL, 2, &error))
		return fprintf(stderr, "%s\n", error.message), error.status;
	for (int i = 1; i < argc; i++)
		shmsem_submit(queue, &(struct shmsem_request){.name = argv[i]}, argv[i], NULL);
	while (left) {
		struct pollfd events[] = {{.fd = shmsem_fd(queue), .events = POLLIN}};

		poll(events, 1, -1); /* beside the program's own descriptors */
		while (shmsem_collect(queue, &result) == SHMSEM_OK) {
			left--;
			if (result.status)
				failed = fprintf(stderr, "%s\n", result.error.message);
			else
				printf("%s: %u×%u\n", (char *)result.tag, result.image.info.width,
					result.image.info.height);
			shmsem_release(&result.image);
		}
	}
	shmsem_queue_close(queue);
	return failed != 0;
}
